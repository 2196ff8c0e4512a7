from __future__ import annotations

import math
from datetime import date
from itertools import combinations

import numpy as np
import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.learning.lot_spread import LotSpread
from pcb_spark.learning.next_defects import (
    allowed_rank,
    choose_lot,
    choose_next,
    defects_needed,
    exceedance,
    ranks_by_slips,
    risk,
)
from pcb_spark.learning.promise import NextDefects, Promise

FIRST, LAST = date(2024, 1, 27), date(2024, 2, 27)


@pytest.mark.parametrize(
    ("max_slip_rate", "next_defects", "lot_defects"),
    [
        (0.005, 800, 400), (0.01, 400, 200), (0.02, 200, 100), (0.05, 80, 40),
        # Rounded up, but not for the last bit of a number; 4 / 0.3 is 13.3.
        (0.07, 58, 29), (0.1, 40, 20), (0.3, 14, 7), (0.8, 5, 3),
    ],
)  # fmt: skip
def test_promises_are_about_few_slips_of_many_defects(
    max_slip_rate: float, next_defects: int, lot_defects: int
) -> None:
    assert Promise(max_slip_rate=max_slip_rate).next_defects == NextDefects(
        slips=4, defects=next_defects, confidence=0.95
    )
    assert Promise(max_slip_rate=max_slip_rate, bound="lot").next_defects == NextDefects(
        slips=2, defects=lot_defects, confidence=0.95
    )


@pytest.mark.parametrize(
    ("max_slip_rate", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0), (math.nan, 0.95)]
)
def test_options_out_of_range_are_refused(max_slip_rate: float, confidence: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        choose_next([0.5], max_slip_rate=max_slip_rate, confidence=confidence)
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        choose_lot([0.5], ["A"], max_slip_rate=max_slip_rate, confidence=confidence)


@pytest.mark.parametrize(
    ("max_slip_rate", "by_next", "by_lot"),
    [(0.005, 655, 685), (0.01, 327, 342), (0.02, 163, 170), (0.05, 64, 67)],
)
def test_fewest_defects_that_clear_anything(
    max_slip_rate: float, by_next: int, by_lot: int
) -> None:
    promises = [Promise(max_slip_rate=max_slip_rate, bound=bound) for bound in ("next", "lot")]
    for promise, needed in zip((p.next_defects for p in promises), (by_next, by_lot), strict=True):
        assert defects_needed(promise) == needed
        # By hand: the c + 1 lowest of all n + h scores must not all be new.
        c, h = promise.slips, promise.defects
        broken, almost = (
            math.comb(h, c + 1) / math.comb(h + n, c + 1) for n in (needed, needed - 1)
        )
        assert broken <= 0.05 < almost
        assert risk(promise, 1, needed) == pytest.approx(broken, abs=1e-9)


def test_more_confidence_takes_more_defects() -> None:
    # (200 199 198 197 196) / (n+200 .. n+196) falls below 0.1 at n = 116 and below 0.01 at n = 300.
    assert defects_needed(Promise(max_slip_rate=0.02, confidence=0.9).next_defects) == 116
    assert defects_needed(Promise(max_slip_rate=0.02, confidence=0.99).next_defects) == 300


@pytest.mark.parametrize(
    ("slips", "rank", "expected"),
    [
        # Two known (o) and two new (x) come in six orders: xxoo xoxo xoox oxxo oxox ooxx.
        # New ones below the first o: 2 1 1 0 0 0; below the second: 2 2 1 2 1 0.
        (0, 1, 3 / 6), (1, 1, 1 / 6), (0, 2, 5 / 6), (1, 2, 3 / 6), (2, 2, 0.0),
    ],
)  # fmt: skip
def test_risk_is_a_count_of_orders(slips: int, rank: int, expected: float) -> None:
    promise = NextDefects(slips=slips, defects=2, confidence=0.95)
    assert risk(promise, rank, 2) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("known", "new"), [(5, 4), (4, 6), (1, 3)])
def test_risk_is_the_share_of_orders_that_break_the_promise(known: int, new: int) -> None:
    orders = list(combinations(range(known + new), known))
    for rank in range(1, known + 1):
        # What lies below the rank-th known score and isn't one of the rank - 1 before it is new.
        below = np.array([places[rank - 1] - (rank - 1) for places in orders])
        for slips in range(new + 1):
            promise = NextDefects(slips=slips, defects=new, confidence=0.95)
            assert risk(promise, rank, known) == pytest.approx((below > slips).mean(), abs=1e-12)


def test_exceedance_is_one_minus_the_cumulated_beta_binomial() -> None:
    # BetaBinomial(3; 2, 3) is 10, 12, 9, 4 in 35 for X = 0 .. 3; (1/2, 1/2) is 5, 3, 3, 5 in 16.
    for below, above, counts in ((2, 3, [10, 12, 9, 4]), (0.5, 0.5, [5, 3, 3, 5])):
        for slips in range(4):
            promise = NextDefects(slips=slips, defects=3, confidence=0.95)
            expected = sum(counts[slips + 1 :]) / sum(counts)
            assert exceedance(promise, below, above) == pytest.approx(expected, abs=1e-12)


def test_the_threshold_is_the_highest_score_that_keeps_the_promise() -> None:
    # k = 0 needs 163 defects at 2 %; 300 allow k = 1: of the six lowest of 500 at least five new
    # ones have probability .0400, and k = 2, five or more of the seven lowest, has .0947.
    scores = [0.9] * 297 + [0.3, 0.2, 0.1]

    choice = choose_next(scores, max_slip_rate=0.02)

    assert (choice.rank, choice.value) == (2, float(np.float32(0.2)))
    assert (choice.defects, choice.needed) == (300, 163)
    assert choice.risk == pytest.approx(0.0400, abs=1e-4)
    assert risk(choice.promise, 3, 300) == pytest.approx(0.0947, abs=1e-4)
    assert choice.spread is None


def test_scores_that_tie_go_to_an_operator_together() -> None:
    choice = choose_next([0.9] * 298 + [0.1, 0.1], max_slip_rate=0.02)

    assert (choice.rank, choice.value) == (2, float(np.float32(0.1)))


def test_too_few_defects_clear_nothing_and_those_without_a_score_do_not_count() -> None:
    choice = choose_next([0.5] * 162 + [math.nan, 1.2], max_slip_rate=0.02)

    assert (choice.rank, choice.value, choice.defects) == (0, 0.0, 162)
    assert choice.risk == pytest.approx(0.0503, abs=1e-4)
    assert choice.sentence(FIRST, LAST) == (
        "clears nothing yet: 163 verified defects are needed, 162 are there"
    )


def test_no_defect_at_all_clears_nothing() -> None:
    choice = choose_next([], max_slip_rate=0.02)
    assert (choice.value, choice.risk, choice.needed) == (0.0, 1.0, 163)
    assert choice.sentence().endswith("163 verified defects are needed, 0 are there")
    assert choose_lot([], [], max_slip_rate=0.02).value == 0.0


def test_the_promise_is_broken_as_often_as_said_and_no_more() -> None:
    # Any distribution of scores will do: these are three defects in four near 1, one near 0.
    rng = np.random.default_rng(20240303)
    worlds, broken = 4000, 0
    rank = allowed_rank(Promise(max_slip_rate=0.02).next_defects, 400)
    expected = risk(Promise(max_slip_rate=0.02).next_defects, rank, 400)
    for _ in range(worlds):
        scores = np.where(rng.random(600) < 0.75, rng.beta(9, 1, 600), rng.beta(1, 3, 600))
        choice = choose_next(scores[:400], max_slip_rate=0.02)
        broken += np.count_nonzero(scores[400:].astype(np.float32) < choice.value) > 4
    assert 0.03 < expected <= 0.05
    assert broken / worlds == pytest.approx(
        expected, abs=4 * math.sqrt(expected * (1 - expected) / worlds)
    )


def test_lots_that_differ_widen_the_share_that_may_slip() -> None:
    # Nine defects, the lowest as threshold: p = .1, where T(p) / T(.1) is 1. Both of the next two
    # slip with E[share^2] = variance + p^2: .09 / 11 + .01 where lots don't differ; with r = .1
    # and m = 2 the variance is .09 (.1 + 1.2 / 11).
    both = NextDefects(slips=1, defects=2, confidence=0.95)
    spread = LotSpread(lots=3, correlation=0.1, companions=2.0)

    assert risk(both, 1, 9) == pytest.approx(0.09 / 11 + 0.01, abs=1e-12)
    assert risk(both, 1, 9, spread) == pytest.approx(0.09 * (0.1 + 1.2 / 11) + 0.01, abs=1e-12)


def test_wider_than_any_share_means_all_or_none() -> None:
    # r = 1: both of two slip whenever one does, with probability p = .1.
    both = NextDefects(slips=1, defects=2, confidence=0.95)
    spread = LotSpread(lots=2, correlation=1.0, companions=3.5)
    assert risk(both, 1, 9, spread) == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("companions", [0.0, 10.0, 500.0])
def test_nobody_profits_from_lots_that_differ(correlation: float, companions: float) -> None:
    promise, spread = Promise(max_slip_rate=0.02, bound="lot").next_defects, LotSpread(
        lots=9, correlation=correlation, companions=companions
    )  # fmt: skip
    assert defects_needed(promise, spread) >= 170
    assert allowed_rank(promise, 1000, spread) <= allowed_rank(promise, 1000)


def test_lots_alike_are_counted_as_one_defect_each() -> None:
    # Every lot has one of its ten defects in the lowest tenth: less differs than chance has it.
    scores = [0.1 + lot / 1000 for lot in range(20)] + [0.9] * 180
    lots = [f"L{row % 20}" for row in range(200)]

    choice = choose_lot(scores, lots, max_slip_rate=0.02)

    assert choice.spread == LotSpread(lots=20, correlation=0.0, companions=9.0)
    assert (choice.rank, choice.needed) == (1, 170)
    assert choice.sentence(FIRST, LAST) == (
        "Of the next 100 defects at most 2 slip (95 % confidence), if they and their lots resemble "
        "the 200 defects of 27 January to 27 February."
    )


def test_two_bad_lots_ask_for_more_defects() -> None:
    scores = [0.1 + row / 1000 for row in range(20)] + [0.9] * 180
    lots = [f"L{row // 10}" for row in range(200)]

    choice = choose_lot(scores, lots, max_slip_rate=0.02)

    assert choice.spread == LotSpread(lots=20, correlation=1.0, companions=9.0)
    assert (choice.rank, choice.value) == (0, 0.0)
    assert choice.needed > 200
    assert choice.sentence().startswith(f"clears nothing yet: {choice.needed} verified defects")


@pytest.mark.parametrize("lot", ["L1", None])
def test_one_lot_says_nothing_of_others(lot: str | None) -> None:
    choice = choose_lot(np.linspace(0.1, 0.9, 500), [lot] * 500, max_slip_rate=0.02)

    assert (choice.rank, choice.value) == (0, 0.0)
    assert choice.sentence() == (
        "clears nothing yet: verified defects of two lots are needed, those of 1 are there"
    )


@pytest.mark.parametrize(
    ("first", "last", "period"),
    [
        (FIRST, LAST, "27 January to 27 February"),
        (FIRST, FIRST, "27 January"),
        (date(2023, 12, 3), FIRST, "3 December 2023 to 27 January 2024"),
    ],
)
def test_what_people_read(first: date, last: date, period: str) -> None:
    choice = choose_next(np.linspace(0.1, 0.9, 1502), max_slip_rate=0.02)
    assert choice.sentence(first, last) == (
        "Of the next 200 defects at most 4 slip (95 % confidence), if they resemble the 1,502 "
        f"defects of {period}."
    )
    assert choice.sentence().endswith("if they resemble the 1,502 defects.")


def test_more_slips_among_the_next_allow_higher_ranks() -> None:
    # One known defect, two next: all orders of the three are as likely. That none of the new ones
    # is below it has probability 1/3, that both are 1/3 too.
    promise = NextDefects(slips=0, defects=2, confidence=0.6)
    assert ranks_by_slips(promise, 1, most=1) == [0, 1]
    # 300 defects at 2 %: rank 2 at four of the next 200, as above, and less at fewer.
    found = ranks_by_slips(Promise(max_slip_rate=0.02).next_defects, 300, most=5)
    assert found == sorted(found)
    assert (found[3], found[4]) == (1, 2)
    assert found[-1] >= 5 > found[-2]
