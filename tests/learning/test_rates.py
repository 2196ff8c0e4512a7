from __future__ import annotations

import math

import pytest

from pcb_spark.learning.rates import Outcome, Rate, count_outcome, slip_upper_bound
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
    outcome = count_outcome(table)

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
