from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core.errors import ApprovalError
from pcb_spark.pipeline import approval
from pcb_spark.pipeline.approval import Decided
from tests import drops, registries
from tests.registries import entry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job
    from pcb_spark.pipeline.registry import Registry

BY_ME = Decided(action=approval.PROMOTE, who="me")


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> Job:
    return drops.job(spark, tmp_path, tmp_path / "out")


@pytest.fixture
def opened(tmp_path: Path) -> Registry:
    """A registry of three versions."""
    found = registries.opened(tmp_path / "out")
    for number in (1, 2, 3):
        found.register(entry(tmp_path / str(number), b"graph %d" % number))
    return found


def test_nobody_is_champion_before_somebody_says_so(job: Job, opened: Registry) -> None:
    with pytest.raises(ApprovalError, match="nobody has promoted a version of pcb_spark yet"):
        approval.champion(job, opened)


def test_what_was_promoted_last_is_champion(job: Job, opened: Registry) -> None:
    approval.promote(job, opened, opened.require("1"), BY_ME)
    made = approval.promote(
        job, opened, opened.require("challenger"), Decided(action="promote", who="you", why="new")
    )

    found = approval.champion(job, opened)
    assert (found.version.number, found.version.aliases) == ("3", ("champion",))
    assert found.bundle.parts["graph.onnx"] == b"graph 3"
    assert (made.number, made.from_version, made.to_version, made.who, made.why) == (
        2, "1", "3", "you", "new",
    )  # fmt: skip
    assert [p.to_version for p in approval.history(job, opened.model)] == ["1", "3"]


def test_an_alias_that_was_moved_by_hand_does_not_count(job: Job, opened: Registry) -> None:
    approval.promote(job, opened, opened.require("1"), BY_ME)
    opened.client.set_registered_model_alias(opened.model, "champion", "2")

    with pytest.raises(ApprovalError) as caught:
        approval.champion(job, opened)
    assert "no promotion made version 2 the champion" in str(caught.value)
    assert "expected: version 1, by the last row of promotions" in str(caught.value)


def test_an_alias_alone_makes_no_champion(job: Job, opened: Registry) -> None:
    opened.client.set_registered_model_alias(opened.model, "champion", "2")

    with pytest.raises(ApprovalError, match="got: the alias champion of version 2"):
        approval.champion(job, opened)


def test_the_way_back_goes_one_champion_at_a_time(job: Job, opened: Registry) -> None:
    for number in ("1", "2", "3"):
        approval.promote(job, opened, opened.require(number), BY_ME)
    back = Decided(action=approval.ROLLBACK, who="me", why="slips")

    for expected in ("2", "1"):
        earlier = approval.before(approval.history(job, opened.model))
        assert earlier.to_version == expected
        approval.promote(job, opened, opened.require(expected), back)
    with pytest.raises(ApprovalError, match="no champion before the present one"):
        approval.before(approval.history(job, opened.model))
