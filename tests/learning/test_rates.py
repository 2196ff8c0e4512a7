from __future__ import annotations

import math

import numpy as np
import pytest

from pcb_spark.learning.rates import (
    Outcome,
    Rate,
    count_outcome,
    decision_rates,
    slip_upper_bound,
)
from tests.judged import judged


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


def test_count_outcome_and_its_rates() -> None:
    table = judged([True, True, False, False, False], [0.1, 0.9, 0.1, 0.2, math.nan], threshold=0.2)

    assert count_outcome(table) == Outcome(slips=1, defects=2, cleared_good=1, good=3)
    rates = decision_rates(table, confidence=0.9)
    # slip_rate: 1 in 2, each side at 0.9: sqrt(0.9) above, 1 - sqrt(0.9) below.
    assert rates["slip_rate"] == pytest.approx(Rate(0.5, 0.051317, 0.948683, 2), abs=1e-6)
    # 1 in 3 at 0.95 a side: the lower bound is 1 - 0.95 ** (1 / 3).
    assert rates["false_call_reduction"][:2] == pytest.approx((1 / 3, 0.016952), abs=1e-6)
    assert rates["review_reduction"].value == 0.4
    assert rates["review_reduction"].n == 5


def test_rates_without_images_are_unknown() -> None:
    rates = decision_rates(judged([], []))

    assert set(rates.values()) == {Rate(None, 0.0, 1.0, 0)}


def test_an_image_that_stands_for_others_weighs_what_they_do() -> None:
    """Of two slips one stands for nine images: 10 of 18."""
    table = judged([True] * 10, [0.1, 0.1, *[0.9] * 8], threshold=0.2, weight=[9, *[1] * 9])

    rate = decision_rates(table)["slip_rate"]

    assert (rate.value, rate.n) == (10 / 18, 10)
    assert rate.lower < 0.2
    assert rate.upper > 0.8


def test_no_slip_seen_is_no_proof_where_few_are_seen() -> None:
    """None of 100: a slip is seen with 1/20. 95 % of Poisson counts of 3.00 / 20 show some."""
    is_fail = [True] * 100 + [False]
    weight = [1] * 100 + [20]
    table = judged(is_fail, [0.9] * 100 + [0.1], threshold=0.2, weight=weight)

    rate = decision_rates(table)["slip_rate"]

    unseen = 20 * -math.log(0.05)
    assert rate == pytest.approx(Rate(0.0, 0.0, unseen / (unseen + 100), 100))


def test_few_images_that_all_slipped_prove_little() -> None:
    """Three slips that stand for 17 each, and no defect that was caught."""
    rate = decision_rates(judged([True] * 3, [0.1] * 3, threshold=0.2, weight=17))["slip_rate"]

    assert rate.value == 1.0
    assert 0.5 < rate.lower < 0.95


def test_a_scope_without_a_slip_knows_that_slips_are_heavy() -> None:
    table = judged([True] * 301, [0.9] * 300 + [0.1], threshold=0.2, weight=[1] * 300 + [16.8])

    caught = table[table.score > 0.5]

    assert decision_rates(caught)["slip_rate"].upper > 0.1


def test_bounds_of_weighed_rates_hold() -> None:
    """A share of .1 of 500 defects slips, a tenth of which is seen: 19 in 20 bounds hold."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        slipped = rng.random(500) < 0.1
        seen = ~slipped | (rng.random(500) < 0.1)
        table = judged(
            np.ones(seen.sum(), dtype=bool),
            np.where(slipped, 0.1, 0.9)[seen],
            threshold=0.2,
            weight=np.where(slipped, 10, 1)[seen],
        )
        rate = decision_rates(table)["slip_rate"]
        held.append((rate.lower <= 0.1, rate.upper >= 0.1))
    assert np.mean(held, axis=0).min() > 0.93
