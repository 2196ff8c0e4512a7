from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.pipeline import clearing
from pcb_spark.pipeline.clearing import Signed
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ME = Signed(who="me", why="new paste")


@pytest.mark.parametrize(
    ("said", "stopped"),
    [
        ([], set()),
        ([("stop", "L1")], {"L1"}),
        ([("stop", "L1"), ("stop", None), ("resume", "L1")], {None}),
        ([("stop", "L1"), ("resume", "L1"), ("stop", "L1")], {"L1"}),
        ([("stop", None), ("stop", "L2"), ("resume", None)], {"L2"}),
    ],
)
def test_what_was_said_last_of_each_line_counts(
    said: list[tuple[str, str | None]], stopped: set[str | None]
) -> None:
    rows = [{"said_at": n, "action": a, "line": line} for n, (a, line) in enumerate(said)]

    assert clearing.of_rows(reversed(rows)) == stopped


def test_a_stop_is_kept_and_lifted_by_the_same_words(spark: SparkSession, tmp_path: Path) -> None:
    job = drops.job(spark, tmp_path, tmp_path / "out")

    clearing.run_stop_clearing(job, line="L2", signed=ME)
    with pytest.raises(InputError, match=r"clearing of all lines isn't stopped(.|\n)*line L2"):
        clearing.run_resume_clearing(job, line=None, signed=ME)
    assert clearing.stopped(job) == {"L2"}
    clearing.run_resume_clearing(job, line="L2", signed=Signed(who="you", why="good again"))

    assert clearing.stopped(job) == frozenset()
    assert drops.rows(spark, tmp_path / "out", "clearing", "action", "line", "who", "why") == [
        ("resume", "L2", "you", "good again"),
        ("stop", "L2", "me", "new paste"),
    ]
    assert job.notes == [
        "nothing is cleared of line L2, from the next decision on",
        "clearing isn't stopped, from the next decision on",
    ]
