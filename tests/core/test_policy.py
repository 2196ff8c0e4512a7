from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pcb_spark.core.policy import SegmentThresholds, decide, unseen, unseen_sql

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_decide_clears_strictly_below_the_threshold_and_never_without_a_score() -> None:
    scores = [0.0, 0.24, 0.25, 0.9, math.nan, -0.1, 1.1, -math.inf]

    assert decide(scores, 0.25).tolist() == [
        "pass",
        "pass",
        "fail",
        "fail",
        "unscorable",
        "unscorable",
        "unscorable",
        "unscorable",
    ]


def test_threshold_zero_clears_nothing() -> None:
    assert decide([0.0, 1e-300, 0.5], 0.0).tolist() == ["fail", "fail", "fail"]


def test_each_row_may_have_a_threshold_of_its_own() -> None:
    assert decide([0.3, 0.3], [0.2, 0.4]).tolist() == ["fail", "pass"]


def test_a_score_gets_one_decision_in_float32_and_float64() -> None:
    # 0.1 in float32 is 0.100000001490116: above 0.1 in float64.
    wide = np.array([0.1], dtype=np.float64)
    narrow = np.array([0.1], dtype=np.float32)

    assert decide(wide, float(narrow[0])).tolist() == ["fail"]
    assert decide(narrow, float(narrow[0])).tolist() == ["fail"]
    assert decide(narrow, 0.1).tolist() == ["fail"]


def test_segments_are_read_off_the_manifest() -> None:
    evidence = {
        "value": 0.2,
        "segment_by": "line",
        "by_segment": {"L1": {"value": 0.6, "reason": "enough"}},
        "pooled_segments": {"L2": "too few"},
    }

    thresholds = SegmentThresholds.of(evidence)

    assert thresholds.column == "line"
    assert thresholds.values(["L1", "L2", None]).tolist() == [0.6, 0.2, 0.2]


def test_a_manifest_of_one_threshold_has_no_segments() -> None:
    assert SegmentThresholds.of({"value": 0.2}) == SegmentThresholds(0.2, None, {})


@pytest.mark.parametrize(
    ("line", "part", "new"),
    [
        ("L1", "R0402", ()),
        ("L3", "R0402", ("line",)),
        ("L3", "R0201", ("line", "part_number")),
        ("it's \\ new", "R0402", ("line",)),
        ("it's", "R0402", ()),
        (None, "R0402", ()),
        ("", None, ()),
    ],
)
def test_what_training_never_saw_is_named_here_and_in_spark(
    spark: SparkSession, line: str | None, part: str | None, new: tuple[str, ...]
) -> None:
    known = {"line": ["L1", "L2", "it's", "a\\b"], "part_number": ["R0402"]}
    table = spark.createDataFrame([(line, part)], "line string, part_number string")

    assert unseen(known, {"line": line, "part_number": part}) == new
    assert table.selectExpr(unseen_sql(known)).collect()[0][0] is bool(new)


def test_a_column_that_was_empty_in_training_tells_nothing(spark: SparkSession) -> None:
    known: dict[str, list[str]] = {"line": [], "part_number": []}

    assert unseen(known, {"line": "L1", "part_number": "R0402"}) == ()
    assert unseen({}, {"line": "L1"}) == ()
    assert spark.range(1).selectExpr(unseen_sql(known)).collect()[0][0] is False
