"""The store of verdicts in PostgreSQL: what differs from SQLite there is locks and types."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from faults import postgres_server
from pcb_spark.review import (
    approvals,
    database,
    exports,
    groups,
    known,
    orders,
    queue,
    shift,
    tables,
    verdicts,
    vigilance,
)
from pcb_spark.review.vigilance import Vigilance
from tests import reviews
from tests.reviews import ANNA, BEN

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

pytestmark = pytest.mark.skipif(
    postgres_server.programs() is None, reason="no PostgreSQL: apt-get install postgresql"
)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres_server.Postgres]:
    # The server's user can't get into pytest's own folders.
    with tempfile.TemporaryDirectory() as folder:
        found = postgres_server.Postgres(Path(folder))
        found.start()
        yield found
        found.kill()


@pytest.fixture
def store(server: postgres_server.Postgres) -> Iterator[Engine]:
    """Empty tables."""
    engine = database.open_store(server.url)
    with engine.begin() as connection:
        every = ", ".join(table.name for table in tables.METADATA.sorted_tables)
        connection.execute(sa.text(f"TRUNCATE {every} RESTART IDENTITY"))
    yield engine
    engine.dispose()


def test_two_who_ask_at_once_get_different_items(store: Engine) -> None:
    queue.load(store, [reviews.item(f"i{n:02}") for n in range(40)])
    got: dict[str, list[str]] = {}
    together = threading.Barrier(4)

    def work(name: str) -> None:
        page = queue.Page(page=f"page-{name}", operator_id=name)
        together.wait()
        for _ in range(5):
            granted, _ = queue.grant(store, page, held=got.get(name, []), want=2, seconds=60)
            got[name] = got.get(name, []) + [each.item_id for each in granted]

    workers = [threading.Thread(target=work, args=(f"op-{n}",)) for n in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    given = [item for of in got.values() for item in of]
    assert sorted(given) == [f"i{n:02}" for n in range(40)]


def test_a_shift_at_the_store(store: Engine, server: postgres_server.Postgres) -> None:
    queue.load(store, [reviews.item("a"), reviews.item("b"), reviews.item("k", known_defect=True)])
    queue.grant(store, ANNA, held=[], want=9, seconds=60)
    wrong = reviews.entry("a", "DefectConfirmed", defects=("open", "short"))
    undo = reviews.entry("a", "Undo", undoes=wrong.entry_id)
    unsure = reviews.entry("b", "Unsure")
    for entry in (wrong, wrong, undo, reviews.entry("a", "DefectRejected"), unsure):
        verdicts.enter(store, ANNA, entry)
    with pytest.raises(verdicts.Declined, match="somebody else's"):
        verdicts.enter(store, ANNA, reviews.entry("b", "DefectClosed"))
    verdicts.enter(store, BEN, reviews.entry("b", "DefectClosed"))
    orders.give(store, action="stop", line="L1", who="op-lea", why="lamp")

    server.kill()
    server.start()

    # Each of two connections of the pool is found dead, and made anew.
    stored = [(e["item_id"], e["verdict"]) for e in exports.said(store)]
    assert stored == [("a", "pass"), ("b", "fail")]
    assert queue.left(store) == 0
    assert [each["line"] for each in orders.stopped(store)] == ["L1"]
    assert [each["item_id"] for each in approvals.candidates(store)] == ["a"]
    assert shift.figures(store, "").decided == {"DefectRejected": 1, "DefectClosed": 1}


def test_figures_are_those_of_sqlite(store: Engine) -> None:
    reviews.answered(store, "2026-03-04T07", caught=3, missed=1, people=("anna", "ben"))
    found = vigilance.by_shift(store, "UTC", datetime(2026, 3, 5, tzinfo=UTC))
    people = {f"p{n}" for n in range(5)}
    reviews.said_by(store, "a", dict.fromkeys(sorted(people), "DefectRejected"))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    told = groups.figures(store, {"all": people}, tomorrow, disagreements=True)

    assert found == [Vigilance(shift="2026-03-04 early", caught=3, shown=4)]
    assert known.caught(store, "2026") == (3, 4)
    assert [each.passed for each in told.groups] == [5]
    assert (told.differ, told.twice) == (0, 1)
