from __future__ import annotations

import math

import numpy as np
import pytest

from pcb_spark.learning.lot_spread import LotSpread, lot_spread

#: Twenty scores; the two lowest are the lowest tenth.
TWENTY = [0.1, 0.2, *([0.9] * 18)]


@pytest.mark.parametrize(
    ("lots", "correlation"),
    [
        # Both of the lowest in one of two lots of ten: mean squares .2 between, 1.6 / 18 within,
        # so (.2 - .0889) / (.2 + 9 x .0889).
        ("AA" + "A" * 8 + "B" * 10, 1 / 9),
        # One in each: nothing between lots.
        ("AB" + "A" * 9 + "B" * 9, 0.0),
        # A lot of two that holds both, and nothing else: all between lots, nothing within.
        ("AA" + "B" * 18, 1.0),
        # One lot can't be told from another,
        ("A" * 20, 1.0),
        # and where each defect has its own there is nothing to share.
        ("ABCDEFGHIJKLMNOPQRST", 0.0),
    ],
)
def test_correlation_of_the_lowest_tenth(lots: str, correlation: float) -> None:
    spread = lot_spread(TWENTY, list(lots))
    assert spread.correlation == pytest.approx(correlation, abs=1e-12)
    assert spread.lots == len(set(lots))


def test_companions_are_those_of_a_defect_not_of_a_lot() -> None:
    # Fifteen defects have 14 others, five have 4: (15 x 14 + 5 x 4) / 20.
    spread = lot_spread(TWENTY, ["A"] * 15 + ["B"] * 5)
    assert spread.companions == pytest.approx(11.5)


def test_ties_that_leave_no_lowest_tenth_tell_nothing_good() -> None:
    assert lot_spread([0.5] * 20, ["A"] * 10 + ["B"] * 10).correlation == 1.0


def test_defects_without_a_score_count_nowhere() -> None:
    lots = [*("AA" + "A" * 8 + "B" * 10), "C", "C"]
    spread = lot_spread([*TWENTY, math.nan, 7.0], lots)
    assert (spread.lots, spread.companions) == (2, 9.0)
    assert spread.correlation == pytest.approx(1 / 9)


def test_unknown_lots_are_one_lot() -> None:
    assert lot_spread(TWENTY, [None] * 10 + ["A"] * 10).lots == 2


def test_nothing_known_is_no_lot() -> None:
    assert lot_spread([], []) == LotSpread(lots=0, correlation=0.0, companions=0.0)


@pytest.mark.parametrize(
    ("share", "ratio"),
    # From a table of the normal distribution: z = 1.2816, 1.6449, 2.0537, 2.3263 and 0 have
    # densities .17550, .10314, .04842, .02665, .39894.
    [
        (0.1, 1.0),
        (0.05, (0.10314**2 / 0.0475) / (0.17550**2 / 0.09)),
        (0.02, (0.04842**2 / 0.0196) / (0.17550**2 / 0.09)),
        (0.01, (0.02665**2 / 0.0099) / (0.17550**2 / 0.09)),
        (0.5, (0.39894**2 / 0.25) / (0.17550**2 / 0.09)),
    ],
)
def test_correlation_shrinks_towards_the_tail(share: float, ratio: float) -> None:
    spread = LotSpread(lots=9, correlation=0.2, companions=5.0)
    assert spread.correlation_at(share) == pytest.approx(0.2 * ratio, rel=1e-3)


def test_correlation_stays_one_at_most() -> None:
    assert LotSpread(lots=9, correlation=0.9, companions=5.0).correlation_at(0.5) == 1.0


def test_the_correlation_of_shifted_normal_scores_is_found() -> None:
    # Lots shift scores by a normal of variance .1 of the whole. Cut at the lowest tenth, the
    # correlation of two defects of one lot is that of the bivariate normal: (P(both) - .01) / .09
    # = .0371 (P(both) = .013335 at correlation .1, by integration).
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        shift = rng.normal(0, math.sqrt(0.1), 100)
        latent = np.repeat(shift, 20) + rng.normal(0, math.sqrt(0.9), 2000)
        lots = [f"L{row // 20}" for row in range(2000)]
        found.append(lot_spread(1 / (1 + np.exp(-latent)), lots).correlation)
    assert np.mean(found) == pytest.approx(0.0371, abs=0.002)
