"""SIGKILL at a random moment of a night; ``make kill-nightly`` does it 20 times in ten nights."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import kill_nightly
from faults.kill_nightly import Plant
from pcb_spark.pipeline import approval, register
from pcb_spark.pipeline.nightly import Days, run_nightly
from tests import drops, registries
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job

#: One of its images has no verdict yet, so that the gate asks for it.
DAY = date(2026, 1, 15)


@pytest.mark.slow
def test_a_night_that_is_killed_and_done_over_ends_as_an_undisturbed_one(
    spark: SparkSession, drop: Drop, copy: Job, tmp_path: Path
) -> None:
    calm, disturbed = tmp_path / "out", tmp_path / "disturbed"
    shutil.rmtree(calm / "scores")
    shutil.rmtree(calm / "reviews")
    registries.prepare(calm)
    register.run_register(copy)
    opened = registries.opened(calm)
    approval.promote(
        copy, opened, opened.require("1"), approval.Decided(action="promote", who="me")
    )
    shutil.copytree(calm, disturbed)
    days = (f"scoring.since={DAY}", f"scoring.until={DAY}")
    with claimed(drops.job(spark, drop.root, calm, *SETTINGS, *days), "nightly") as job:
        run_nightly(job, days=Days(), take_in=True)

    outcome = kill_nightly.disturb(
        Plant(drop=drop.root, out=disturbed, settings=SETTINGS), [str(DAY)], kills=1, seed=1
    )
    kill_nightly.compare(disturbed, calm, outcome)

    assert outcome.faults == []
    assert (outcome.kills, outcome.reads > 0) == (1, True)
    assert sum(kill_nightly.rows(disturbed / "decisions").values()) == 20
