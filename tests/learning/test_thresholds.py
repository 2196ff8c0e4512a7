from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import betainc

from pcb_spark.core.errors import ConfigError, TrainingError
from pcb_spark.core.policy import decide
from pcb_spark.learning.forward import evaluate_forward
from pcb_spark.learning.promise import Promise, design_effect
from pcb_spark.learning.rates import Outcome
from pcb_spark.learning.thresholds import choose_threshold, choose_thresholds, slip_curve
from tests.judged import judged

PROMISE = Promise(max_slip_rate=0.02)
BY_LINE = Promise(max_slip_rate=0.02, segment_by="line")
BY_BOARD = Promise(max_slip_rate=0.02, correlated_boards=True)


@pytest.mark.parametrize(
    ("max_slip_rate", "slips", "expected"),
    [(0.01, 0, 299), (0.001, 0, 2995), (0.02, 0, 149), (0.01, 1, 473), (0.02, 1, 236)],
)
def test_defects_needed(max_slip_rate: float, slips: int, expected: int) -> None:
    assert Promise(max_slip_rate=max_slip_rate).defects_needed(slips=slips) == expected


@pytest.mark.parametrize(
    ("max_slip_rate", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0), (math.nan, 0.95)]
)
def test_options_out_of_range_are_refused(max_slip_rate: float, confidence: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        Promise(max_slip_rate=max_slip_rate, confidence=confidence).defects_needed()


def few_good_below(defect_scores: list[float]) -> tuple[list[bool], list[float]]:
    """Good images at 0.05, 0.15, 0.25 and 0.95, then the defects."""
    good = [0.05, 0.15, 0.25, 0.95]
    return [False] * 4 + [True] * len(defect_scores), good + defect_scores


def test_no_slip_allowed_puts_the_threshold_at_the_lowest_defect() -> None:
    # 149 defects allow no slip at 2 %; 0.2 clears the good ones at 0.05 and 0.15.
    is_fail, scores = few_good_below([0.5] * 148 + [0.2])

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

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

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert threshold.value == float(np.float32(0.2))
    assert (threshold.slips, threshold.cleared_good) == (1, 2)


def test_defects_with_one_score_slip_together_or_not_at_all() -> None:
    is_fail, scores = few_good_below([0.5] * 234 + [0.1, 0.1])

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert threshold.value == float(np.float32(0.1))
    assert (threshold.slips, threshold.cleared_good) == (0, 1)


def test_scores_that_only_float64_tells_apart_go_together() -> None:
    is_fail, scores = few_good_below([0.5] * 148 + [0.2])
    scores[1] = 0.2 - 1e-12

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert (threshold.slips, threshold.cleared_good) == (0, 1)
    served = np.array(scores, dtype=np.float32)
    assert (decide(served, threshold.value) == decide(scores, threshold.value)).all()


def test_too_few_defects_clear_nothing_and_say_how_many_are_missing() -> None:
    is_fail, scores = few_good_below([0.9] * 148)

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert threshold.value == 0.0
    assert (threshold.slips, threshold.cleared_good) == (0, 0)
    assert threshold.slip_rate_upper > 0.02
    assert threshold.reason == (
        "clears nothing: to show that at most 0.02 of defects slip (0.95 confidence) takes 149 "
        "defects, 148 are there, 1 more are needed"
    )


def test_no_image_at_all_clears_nothing() -> None:
    threshold = choose_threshold(judged([], []), PROMISE)

    assert (threshold.value, threshold.slip_rate_upper) == (0.0, 1.0)
    assert "149 more are needed" in threshold.reason


def test_defects_without_a_score_prove_nothing() -> None:
    is_fail, scores = few_good_below([0.9] * 148 + [math.nan])

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert (threshold.value, threshold.defects) == (0.0, 148)


@pytest.mark.parametrize("verdict", [None, math.nan, 2])
def test_an_unverified_image_is_never_taken_for_good(verdict: float | None) -> None:
    with pytest.raises(TrainingError, match="no operator has verified"):
        judged(np.array([True, verdict]), [0.5, 0.5])


def test_a_line_with_defects_enough_gets_its_own_threshold_the_others_the_pooled_one() -> None:
    # L1: 149 defects from 0.6 on; L2: 148 from 0.2 on; one good image each, one without a line.
    is_fail = [True] * 297 + [False] * 3
    scores = [0.6] * 149 + [0.2] * 148 + [0.1, 0.1, 0.1]
    lines = ["L1"] * 149 + ["L2"] * 148 + ["L1", "L2", None]

    chosen = choose_thresholds(judged(is_fail, scores, line=lines), BY_LINE)

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

    second, third = evaluate_forward(judged(is_fail, scores, fold=fold), PROMISE)

    assert (second.fold, second.thresholds.pooled.value) == (2, 0.5)
    assert second.outcome == Outcome(slips=1, defects=2, cleared_good=1, good=2)
    assert (third.fold, third.thresholds.pooled.value) == (3, float(np.float32(0.4)))
    assert third.outcome == Outcome(slips=0, defects=1, cleared_good=0, good=1)
    assert second.outcome.rates()["slip_rate"].upper == pytest.approx(0.974679, abs=1e-6)


def test_one_fold_has_no_past() -> None:
    assert evaluate_forward(judged([True, False], [0.9, 0.1]), PROMISE) == ()


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
        threshold = choose_threshold(judged(is_fail, scores), Promise(max_slip_rate=max_slip_rate))
        assert threshold.value > 0
        # A new defect slips with the distribution function's value at the threshold.
        broken += betainc(4, 2, threshold.value) > max_slip_rate

    spread = math.sqrt(worlds * 0.05 * 0.95)
    assert broken <= worlds * 0.05 + 3 * spread
    # And the promise is used up: a threshold lower than need be would be broken less often.
    assert broken == pytest.approx(worlds * exact, abs=3 * spread)


def test_a_line_with_too_few_defects_says_so_and_uses_the_pooled_threshold() -> None:
    is_fail = [True] * 297 + [False]
    scores = [0.6] * 149 + [0.2] * 148 + [0.1]
    lines = ["L1"] * 149 + ["L2"] * 148 + ["L3"]

    chosen = choose_thresholds(judged(is_fail, scores, line=lines), BY_LINE)

    assert list(chosen.pooled_segments) == ["L2", "L3"]
    assert chosen.pooled_segments["L2"].endswith("148 are there, 1 more are needed")
    evidence = chosen.evidence()
    assert (evidence["segment_by"], evidence["by_segment"]["L1"]["defects"]) == ("line", 149)
    assert (evidence["value"], evidence["defects"]) == (chosen.pooled.value, 297)


def test_forward_uses_the_thresholds_of_the_segments() -> None:
    # Fold 1: 149 defects a line, from 0.6 on in L1 and from 0.2 on in L2; pooled it is 0.2.
    is_fail = [True] * 298 + [False, False]
    scores = [0.6] * 149 + [0.2] * 149 + [0.5, 0.5]
    lines = ["L1"] * 149 + ["L2"] * 149 + ["L1", "L2"]
    fold = [1] * 298 + [2, 2]

    table = judged(is_fail, scores, fold=fold, line=lines)
    (own,) = evaluate_forward(table, BY_LINE)
    (pooled,) = evaluate_forward(table, PROMISE)

    assert own.outcome == Outcome(slips=0, defects=0, cleared_good=1, good=2)
    assert own.judged.threshold.tolist() == [float(np.float32(0.6)), float(np.float32(0.2))]
    assert pooled.outcome.cleared_good == 0


@pytest.mark.parametrize(
    ("scores", "boards", "expected"),
    [
        # One defect a board: each tells as much as any.
        ([0.1, 0.2, 0.3, 0.4], "abcd", 1.0),
        # Alike on their board: two boards of two are two defects, not four.
        ([0.1, 0.1, 0.4, 0.4], "aabb", 2.0),
        # One board, or nothing but ties: nobody knows, so the worst is taken.
        ([0.1, 0.2, 0.3, 0.4], "aaaa", 4.0),
        ([0.3, 0.3, 0.3, 0.3], "aabb", 2.0),
        # Boards that differ less than chance has it.
        ([0.1, 0.4, 0.2, 0.3], "aabb", 1.0),
        # Ranks 1 2 | 3 4 5 | 6: mean squares 15 / 2 between and 2.5 / 3 within, sizes 11 / 6 in
        # the correlation and 14 / 6 in the effect: 1 + 8 / 6 * 6.6667 / 8.1944.
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "aabbbc", 2.084746),
    ],
)
def test_design_effect(scores: list[float], boards: str, expected: float) -> None:
    assert design_effect(scores, list(boards)) == pytest.approx(expected, abs=1e-4)


def clustered_worlds(worlds: int, *, by_board: bool) -> int:
    """Count promises broken where 100 boards hold ten defects each, all ten with one score."""
    rng = np.random.default_rng(20240302)
    is_fail = [True] * 1000 + [False] * 50
    boards = [f"b{row // 10}" for row in range(1050)]
    broken = 0
    for _ in range(worlds):
        scores = np.concatenate((np.repeat(rng.beta(4, 2, 100), 10), rng.beta(1, 6, 50)))
        table = judged(is_fail, scores, board_id=boards)
        chosen = choose_threshold(table, Promise(max_slip_rate=0.05, correlated_boards=by_board))
        broken += betainc(4, 2, chosen.value) > 0.05
    return broken


def test_ten_defects_alike_on_a_board_break_the_promise_of_independent_ones_only() -> None:
    spread = math.sqrt(400 * 0.05 * 0.95)
    assert clustered_worlds(400, by_board=True) <= 400 * 0.05 + 3 * spread
    assert clustered_worlds(400, by_board=False) > 400 * 0.15


def test_too_few_boards_say_how_many_defects_are_missing() -> None:
    is_fail, scores = few_good_below([0.9, 0.8] * 148)
    scores[4:] = np.repeat(np.linspace(0.5, 0.9, 148), 2).tolist()
    boards = ["g"] * 4 + [f"b{row // 2}" for row in range(296)]

    chosen = choose_threshold(judged(is_fail, scores, board_id=boards), BY_BOARD)

    assert (chosen.value, chosen.design_effect) == (0.0, 2.0)
    assert chosen.reason.endswith("takes 297 defects, 296 are there, 1 more are needed")


@pytest.mark.parametrize("correlated_boards", [False, True])
def test_the_curve_meets_the_bound_of_the_chosen_threshold(*, correlated_boards: bool) -> None:
    # 100 boards of four alike defects, and one good image below each.
    defects, boards = np.repeat(np.arange(1, 101) / 101, 4), np.repeat(np.arange(100), 4)
    table = judged(
        [True] * 400 + [False] * 100,
        [*defects, *(np.arange(1, 101) / 101 - 0.001)],
        board_id=[*boards.astype(str), *map(str, range(100))],
    )
    promise = Promise(max_slip_rate=0.12, correlated_boards=correlated_boards)
    chosen = choose_threshold(table, promise)

    curve = slip_curve(table, chosen)

    at = chosen.slips + chosen.cleared_good - 1  # the last image below the threshold
    assert chosen.slips > 0
    assert (curve.slips[at], curve.upper[at]) == (chosen.slips, chosen.slip_rate_upper)
    assert curve.cleared[at] == (at + 1) / 500
    assert curve.slips[-1] == 400
    assert curve.upper[-1] == 1.0
