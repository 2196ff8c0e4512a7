"""The review page, killed: a short form of ``make kill-review``."""

from __future__ import annotations

from pathlib import Path

from faults import kill_review
from pcb_spark.review import database, queue, verdicts
from tests import reviews


def test_every_acknowledged_verdict_is_stored_once(tmp_path: Path) -> None:
    assert kill_review.kill_review(tmp_path, items=60, kills=2, postgres=None) == []


def test_a_verdict_that_is_lost_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    engine = database.open_store(url)
    queue.load(engine, [reviews.item("a"), reviews.item("b")])
    verdicts.enter(engine, reviews.ANNA, reviews.entry("a", "DefectRejected"))
    engine.dispose()

    assert kill_review.differences(["a", "b"], url, 2) == ["b is lost", "1 of 2 are stored"]
