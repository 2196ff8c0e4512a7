from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pcb_spark.core.errors import ConfigError, TrainingError
from pcb_spark.core.policy import decide
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.thresholds import choose_threshold, choose_thresholds, slip_curve
from tests.judged import judged

PROMISE = Promise(max_slip_rate=0.02)
BY_LINE = Promise(max_slip_rate=0.02, segment_by="line")
BY_LOT = Promise(max_slip_rate=0.02, bound="lot")


@pytest.mark.parametrize(
    ("max_slip_rate", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0), (math.nan, 0.95)]
)
def test_options_out_of_range_are_refused(max_slip_rate: float, confidence: float) -> None:
    promise = Promise(max_slip_rate=max_slip_rate, confidence=confidence)
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        choose_threshold(judged([True], [0.5]), promise)


def few_good_below(defect_scores: list[float]) -> tuple[list[bool], list[float]]:
    """Good images at 0.05, 0.15, 0.25 and 0.95, then the defects."""
    good = [0.05, 0.15, 0.25, 0.95]
    return [False] * 4 + [True] * len(defect_scores), good + defect_scores


@pytest.mark.parametrize(
    ("max_slip_rate", "needed", "slips", "following"),
    [(0.005, 655, 4, 800), (0.01, 327, 4, 400), (0.02, 163, 4, 200), (0.05, 64, 4, 80)],
)
def test_just_enough_defects_put_the_threshold_at_the_lowest(
    max_slip_rate: float, needed: int, slips: int, following: int
) -> None:
    is_fail, scores = few_good_below([0.5] * (needed - 1) + [0.2])
    promise = Promise(max_slip_rate=max_slip_rate)

    threshold = choose_threshold(judged(is_fail, scores), promise)
    one_less = choose_threshold(judged(is_fail[:-1], scores[:-1]), promise)

    assert (threshold.value, threshold.rank) == (float(np.float32(0.2)), 1)
    assert (threshold.next_slips, threshold.next_defects) == (slips, following)
    assert (threshold.defects, threshold.needed) == (needed, needed)
    assert 0.049 < threshold.risk <= 0.05
    # 0.2 clears the good ones at 0.05 and 0.15.
    assert (threshold.slips, threshold.cleared_good, threshold.good) == (0, 2, 4)
    assert threshold.reason == (
        f"Of the next {following} defects at most 4 slip (95 % confidence), if they resemble the "
        f"{needed} defects."
    )
    assert (one_less.value, one_less.rank, one_less.cleared_good) == (0.0, 0, 0)
    assert one_less.risk > 0.05
    assert one_less.reason == (
        f"clears nothing yet: {needed} verified defects are needed, {needed - 1} are there"
    )


def test_one_defect_may_score_below_where_there_are_three_hundred() -> None:
    is_fail, scores = few_good_below([0.5] * 297 + [0.1, 0.2, 0.3])

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert (threshold.value, threshold.rank) == (float(np.float32(0.2)), 2)
    assert (threshold.slips, threshold.cleared_good) == (1, 2)


def test_scores_that_only_float64_tells_apart_go_together() -> None:
    is_fail, scores = few_good_below([0.5] * 162 + [0.2])
    scores[1] = 0.2 - 1e-12

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert (threshold.slips, threshold.cleared_good) == (0, 1)
    served = np.array(scores, dtype=np.float32)
    assert (decide(served, threshold.value) == decide(scores, threshold.value)).all()


def test_no_image_at_all_clears_nothing() -> None:
    threshold = choose_threshold(judged([], []), PROMISE)

    assert (threshold.value, threshold.risk) == (0.0, 1.0)
    assert threshold.reason.endswith("163 verified defects are needed, 0 are there")


def test_defects_without_a_score_prove_nothing() -> None:
    is_fail, scores = few_good_below([0.9] * 162 + [math.nan])

    threshold = choose_threshold(judged(is_fail, scores), PROMISE)

    assert (threshold.value, threshold.defects) == (0.0, 162)


@pytest.mark.parametrize("verdict", [None, math.nan, 2])
def test_an_unverified_image_is_never_taken_for_good(verdict: float | None) -> None:
    with pytest.raises(TrainingError, match="no operator has verified"):
        judged(np.array([True, verdict]), [0.5, 0.5])


def test_the_days_are_those_of_defects_that_have_a_score() -> None:
    # A good image on the first day, a defect without a score on the last one.
    first = date(2024, 1, 26)
    days = [first + timedelta(days=row) for row in (0, *(1 + n % 32 for n in range(163)), 33)]
    table = judged(
        [False] + [True] * 164, [0.1] + [0.5] * 163 + [math.nan], capture_date=days
    )  # fmt: skip

    threshold = choose_threshold(table, PROMISE)

    assert (threshold.first, threshold.last) == ("2024-01-27", "2024-02-27")
    assert threshold.reason.endswith(
        "if they resemble the 163 defects of 27 January to 27 February."
    )


def test_lots_that_differ_are_in_the_evidence() -> None:
    # Two lots of 200: all of the lowest tenth lies in one of them.
    scores = [*np.linspace(0.1, 0.5, 200), *np.linspace(0.5, 0.9, 200)]
    lots = ["A"] * 200 + ["B"] * 200

    evidence = choose_thresholds(judged([True] * 400, scores, lot=lots), BY_LOT).evidence()
    alike = choose_threshold(judged([True] * 400, scores, lot=["A", "B"] * 200), BY_LOT)

    assert (evidence["bound"], evidence["next_slips"], evidence["next_defects"]) == ("lot", 2, 100)
    assert evidence["spread"]["lots"] == 2
    assert evidence["spread"]["companions"] == pytest.approx(199)
    assert evidence["spread"]["correlation"] > 0.1
    assert evidence["rank"] < alike.rank
    assert "if they and their lots resemble the 400 defects" in alike.reason


def test_one_lot_clears_nothing_by_lot() -> None:
    threshold = choose_threshold(judged([True] * 400, [0.5] * 400, lot=["A"] * 400), BY_LOT)

    assert (threshold.value, threshold.rank) == (0.0, 0)
    assert threshold.reason == (
        "clears nothing yet: verified defects of two lots are needed, those of 1 are there"
    )


def test_a_line_with_defects_enough_gets_its_own_threshold_the_others_the_pooled_one() -> None:
    # L1: 163 defects from 0.6 on; L2: 162 from 0.2 on; one good image each, one without a line.
    is_fail = [True] * 325 + [False] * 3
    scores = [0.6] * 163 + [0.2] * 162 + [0.1, 0.1, 0.1]
    lines = ["L1"] * 163 + ["L2"] * 162 + ["L1", "L2", None]

    chosen = choose_thresholds(judged(is_fail, scores, line=lines), BY_LINE)

    assert list(chosen.by_segment) == ["L1"]
    own, pooled = float(np.float32(0.6)), float(np.float32(0.2))
    assert (chosen.by_segment["L1"].cleared_good, chosen.by_segment["L1"].good) == (1, 1)
    assert (chosen.pooled.defects, chosen.pooled.good) == (325, 3)
    assert chosen.values(["L1", "L2", "L9", None]).tolist() == [own, pooled, pooled, pooled]


def test_a_line_with_too_few_defects_says_so_and_uses_the_pooled_threshold() -> None:
    is_fail = [True] * 325 + [False]
    scores = [0.6] * 163 + [0.2] * 162 + [0.1]
    lines = ["L1"] * 163 + ["L2"] * 162 + ["L3"]

    chosen = choose_thresholds(judged(is_fail, scores, line=lines), BY_LINE)

    assert chosen.pooled_segments == {
        "L2": "clears nothing yet: 163 verified defects are needed, 162 are there",
        "L3": "clears nothing yet: 163 verified defects are needed, 0 are there",
    }
    evidence = chosen.evidence()
    assert (evidence["segment_by"], evidence["by_segment"]["L1"]["defects"]) == ("line", 163)
    assert (evidence["value"], evidence["defects"]) == (chosen.pooled.value, 325)


def test_the_promise_is_read_off_its_evidence() -> None:
    promise = Promise(max_slip_rate=0.05, confidence=0.9, bound="lot", segment_by="line")
    table = judged([True], [0.5], line=["L1"], lot=["A"])

    assert Promise.of(choose_thresholds(table, promise).evidence()) == promise


def test_a_bound_on_the_mean_is_no_promise_of_the_next_defects() -> None:
    earlier: dict[str, Any] = {
        "value": 0.25, "max_slip_rate": 0.02, "confidence": 0.95, "slip_rate_upper": 0.019,
        "design_effect": 1.0,
    }  # fmt: skip
    assert Promise.of(earlier) is None
    assert Promise.of({**earlier, "bound": "a rule of some later version"}) is None


@pytest.mark.parametrize(
    ("slip_rate", "next_slips", "holds"),
    [(0.02, 4, True), (0.0201, 4, False), (0.01, 5, False), (0.0, 0, True)],
)
def test_a_promise_holds_up_to_its_slips_and_its_rate(
    slip_rate: float, next_slips: int, *, holds: bool
) -> None:
    assert PROMISE.holds(slip_rate, next_slips) is holds


def test_the_curve_stays_within_what_is_allowed_up_to_the_chosen_threshold() -> None:
    # 400 defects, and one good image below every fourth.
    defects = np.arange(1, 401) / 401
    table = judged([True] * 400 + [False] * 100, [*defects, *(defects[::4] - 0.001)])
    chosen = choose_threshold(table, PROMISE)

    curve = slip_curve(table, PROMISE, most=40)

    at = chosen.slips + chosen.cleared_good - 1  # the last image below the threshold
    assert chosen.rank == 3
    assert (curve.slips[at], curve.upper[at]) == (2, 4 / 200)
    assert curve.cleared[at] == (at + 1) / 500
    assert (curve.upper[: at + 1] <= 0.02).all()
    assert (curve.upper[curve.slips > 2] > 0.02).all()
    assert curve.slips[-1] == 40
    assert (np.diff(curve.upper) >= 0).all()


def test_where_all_known_defects_slip_all_of_the_next_may() -> None:
    curve = slip_curve(judged([True, False], [0.5, 0.1]), PROMISE, most=5)

    assert curve.slips.tolist() == [0, 1]
    # The lower of 1 known and 200 next ones: 95 % of the time no more than 190 lie below it.
    assert curve.upper.tolist() == [190 / 200, 1.0]
