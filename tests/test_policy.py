from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import betainc

from pcb_spark.errors import ConfigError, TrainingError
from pcb_spark.policy import (
    Outcome,
    Rate,
    choose_threshold,
    choose_thresholds,
    count_outcome,
    decide,
    defects_needed,
    evaluate_forward,
    known_verdicts,
    slip_upper_bound,
)


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


@pytest.mark.parametrize(
    ("max_slip_rate", "slips", "expected"),
    [(0.01, 0, 299), (0.001, 0, 2995), (0.02, 0, 149), (0.01, 1, 473), (0.02, 1, 236)],
)
def test_defects_needed(max_slip_rate: float, slips: int, expected: int) -> None:
    assert defects_needed(max_slip_rate, slips=slips) == expected


@pytest.mark.parametrize(
    ("max_slip_rate", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0), (math.nan, 0.95)]
)
def test_options_out_of_range_are_refused(max_slip_rate: float, confidence: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        defects_needed(max_slip_rate, confidence=confidence)


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


def few_good_below(defect_scores: list[float]) -> tuple[list[bool], list[float]]:
    """Good images at 0.05, 0.15, 0.25 and 0.95, then the defects."""
    good = [0.05, 0.15, 0.25, 0.95]
    return [False] * 4 + [True] * len(defect_scores), good + defect_scores


def test_no_slip_allowed_puts_the_threshold_at_the_lowest_defect() -> None:
    # 149 defects allow no slip at 2 %; 0.2 clears the good ones at 0.05 and 0.15.
    is_fail, scores = few_good_below([0.5] * 148 + [0.2])

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert threshold.value == float(np.float32(0.2))
    assert (threshold.slips, threshold.defects) == (0, 149)
    assert (threshold.cleared_good, threshold.good) == (2, 4)
    assert threshold.slip_rate_upper == pytest.approx(0.019905, abs=1e-6)
    assert threshold.reason == (
        "at most 0.02 of defects slip (0.95 confidence): 0 of 149 defects and 2 of 4 good images "
        "score below the threshold"
    )


def test_one_slip_is_allowed_from_236_defects_on() -> None:
    is_fail, scores = few_good_below([0.5] * 233 + [0.1, 0.2, 0.3])

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert threshold.value == float(np.float32(0.2))
    assert (threshold.slips, threshold.cleared_good) == (1, 2)


def test_defects_with_one_score_slip_together_or_not_at_all() -> None:
    is_fail, scores = few_good_below([0.5] * 234 + [0.1, 0.1])

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert threshold.value == float(np.float32(0.1))
    assert (threshold.slips, threshold.cleared_good) == (0, 1)


def test_scores_that_only_float64_tells_apart_go_together() -> None:
    is_fail, scores = few_good_below([0.5] * 148 + [0.2])
    scores[1] = 0.2 - 1e-12

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert (threshold.slips, threshold.cleared_good) == (0, 1)
    served = np.array(scores, dtype=np.float32)
    assert (decide(served, threshold.value) == decide(scores, threshold.value)).all()


def test_too_few_defects_clear_nothing_and_say_how_many_are_missing() -> None:
    is_fail, scores = few_good_below([0.9] * 148)

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert threshold.value == 0.0
    assert (threshold.slips, threshold.cleared_good) == (0, 0)
    assert threshold.slip_rate_upper > 0.02
    assert threshold.reason == (
        "clears nothing: to show that at most 0.02 of defects slip (0.95 confidence) takes 149 "
        "defects, 148 are there, 1 more are needed"
    )


def test_no_image_at_all_clears_nothing() -> None:
    threshold = choose_threshold([], [], max_slip_rate=0.02)

    assert (threshold.value, threshold.slip_rate_upper) == (0.0, 1.0)
    assert "149 more are needed" in threshold.reason


def test_defects_without_a_score_prove_nothing() -> None:
    is_fail, scores = few_good_below([0.9] * 148 + [math.nan])

    threshold = choose_threshold(is_fail, scores, max_slip_rate=0.02)

    assert (threshold.value, threshold.defects) == (0.0, 148)


@pytest.mark.parametrize("verdict", [None, math.nan, 2])
def test_an_unverified_image_is_never_taken_for_good(verdict: float | None) -> None:
    with pytest.raises(TrainingError, match="no operator has verified"):
        choose_threshold(np.array([True, verdict]), [0.5, 0.5], max_slip_rate=0.02)


def test_verdicts_of_another_length_are_refused() -> None:
    with pytest.raises(TrainingError, match="each of 3 images"):
        known_verdicts([True, False], 3)


def test_a_line_with_defects_enough_gets_its_own_threshold_the_others_the_pooled_one() -> None:
    # L1: 149 defects from 0.6 on; L2: 148 from 0.2 on; one good image each, one without a line.
    is_fail = [True] * 297 + [False] * 3
    scores = [0.6] * 149 + [0.2] * 148 + [0.1, 0.1, 0.1]
    lines = ["L1"] * 149 + ["L2"] * 148 + ["L1", "L2", None]

    chosen = choose_thresholds(is_fail, scores, lines, max_slip_rate=0.02)

    assert list(chosen.by_segment) == ["L1"]
    own, pooled = float(np.float32(0.6)), float(np.float32(0.2))
    assert (chosen.by_segment["L1"].cleared_good, chosen.by_segment["L1"].good) == (1, 1)
    assert (chosen.pooled.defects, chosen.pooled.good) == (297, 3)
    assert chosen.values(["L1", "L2", "L9", None]).tolist() == [own, pooled, pooled, pooled]


def test_forward_chooses_on_the_past_and_counts_on_the_present() -> None:
    # Fold 1: 149 defects at 0.5. Fold 2: of two defects one slips, of two good ones one clears.
    # Fold 3 sees both: 151 defects still allow no slip, so the threshold falls to 0.4.
    is_fail = [True] * 149 + [True, True, False, False] + [True, False]
    scores = [0.5] * 149 + [0.4, 0.8, 0.3, 0.7] + [0.6, 0.45]
    fold = [1] * 149 + [2] * 4 + [3] * 2

    second, third = evaluate_forward(is_fail, scores, fold, max_slip_rate=0.02)

    assert (second.fold, second.threshold.value) == (2, 0.5)
    assert second.outcome == Outcome(slips=1, defects=2, cleared_good=1, good=2)
    assert (third.fold, third.threshold.value) == (3, float(np.float32(0.4)))
    assert third.outcome == Outcome(slips=0, defects=1, cleared_good=0, good=1)
    assert second.outcome.rates()["slip_rate"].upper == pytest.approx(0.974679, abs=1e-6)


def test_one_fold_has_no_past() -> None:
    assert evaluate_forward([True, False], [0.9, 0.1], [1, 1], max_slip_rate=0.02) == ()


@pytest.mark.parametrize(
    ("defects", "max_slip_rate", "exact"),
    # The share of broken promises is known: that no more than k of n defects lie below the slip
    # rate's quantile, binomial, k being the slips that the bound allows (here 0, 1 and 38).
    # 0.99 ** 299 for the first, 0.99 ** 473 + 473 * 0.01 * 0.99 ** 472 for the second.
    [(299, 0.01, 0.0495), (473, 0.01, 0.0498), (1000, 0.05, 0.0433)],
)
def test_the_promise_is_broken_in_no_more_than_one_world_in_twenty(
    defects: int, max_slip_rate: float, exact: float
) -> None:
    worlds, broken = 1000, 0
    rng = np.random.default_rng(20240301)
    is_fail = [True] * defects + [False] * 50
    for _ in range(worlds):
        scores = np.concatenate((rng.beta(4, 2, defects), rng.beta(1, 6, 50)))
        threshold = choose_threshold(is_fail, scores, max_slip_rate=max_slip_rate)
        assert threshold.value > 0
        # A new defect slips with the distribution function's value at the threshold.
        broken += betainc(4, 2, threshold.value) > max_slip_rate

    spread = math.sqrt(worlds * 0.05 * 0.95)
    assert broken <= worlds * 0.05 + 3 * spread
    # And the promise is used up: a threshold lower than need be would be broken less often.
    assert broken == pytest.approx(worlds * exact, abs=3 * spread)
