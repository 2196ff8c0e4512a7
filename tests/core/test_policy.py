from __future__ import annotations

import math

import numpy as np

from pcb_spark.core.policy import SegmentThresholds, decide


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
