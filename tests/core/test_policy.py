from __future__ import annotations

import math

import numpy as np
import pytest

from pcb_spark.core.errors import TrainingError
from pcb_spark.core.policy import SegmentThresholds, decide
from pcb_spark.learning.judged import known_verdicts
from pcb_spark.learning.rates import Outcome, Rate, count_outcome, slip_upper_bound, total


@pytest.mark.parametrize(
    ("slips", "defects", "expected"),
    [
        # No slip: 1 - 0.05 ** (1 / n), by hand.
        (0, 1, 0.95),
        (0, 2, 0.776393),
        (0, 299, 0.009969),
        # All but one slipped: 0.95 ** (1 / n).
        (1, 2, 0.974679),
        # The textbook's table (Hahn and Meeker): 5 in 100.
        (5, 100, 0.102253),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_slip_upper_bound(slips: int, defects: int, expected: float) -> None:
    assert slip_upper_bound(slips, defects) == pytest.approx(expected, abs=1e-6)


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


def test_count_outcome_and_its_rates() -> None:
    outcome = count_outcome(
        [True, True, False, False, False], [0.1, 0.9, 0.1, 0.2, math.nan], threshold=0.2
    )

    assert outcome == Outcome(slips=1, defects=2, cleared_good=1, good=3)
    rates = outcome.rates(confidence=0.9)
    # slip_rate: 1 in 2, each side at 0.9: sqrt(0.9) above, 1 - sqrt(0.9) below.
    assert rates["slip_rate"] == pytest.approx(Rate(0.5, 0.051317, 0.948683, 2), abs=1e-6)
    # 1 in 3 at 0.95 a side: the lower bound is 1 - 0.95 ** (1 / 3).
    assert rates["false_call_reduction"][:2] == pytest.approx((1 / 3, 0.016952), abs=1e-6)
    assert rates["review_reduction"].value == 0.4
    assert rates["review_reduction"].n == 5


def test_rates_without_images_are_unknown() -> None:
    rates = Outcome(slips=0, defects=0, cleared_good=0, good=0).rates()

    assert set(rates.values()) == {Rate(None, 0.0, 1.0, 0)}


def test_verdicts_of_another_length_are_refused() -> None:
    with pytest.raises(TrainingError, match="each of 3 images"):
        known_verdicts([True, False], 3)


def test_bound_of_correlated_defects_is_that_of_fewer_independent_ones() -> None:
    # 20 slips in 400 tell what 5 in 100 would, were they four alike each time.
    assert slip_upper_bound(20, 400, design_effect=4.0) == pytest.approx(0.102253, abs=1e-6)


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


def test_outcomes_add_up() -> None:
    first = Outcome(slips=1, defects=10, cleared_good=5, good=8)
    second = Outcome(slips=0, defects=4, cleared_good=1, good=2)

    assert total([first, second]) == Outcome(slips=1, defects=14, cleared_good=6, good=10)
    assert total([]).rates()["slip_rate"].value is None
