from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pcb_spark.monitor import spread
from pcb_spark.monitor.spread import Counts, Spread


def test_a_day_is_held_against_how_days_differ_and_how_few_there_were() -> None:
    found = Spread.of([10.0, 12.0, 8.0, 10.0, 11.0, 9.0])

    assert found is not None
    assert (found.mean, found.days, found.freedom) == (10.0, 6, 5)
    assert found.sd == pytest.approx(math.sqrt(2))
    # 13 lies 3 / (sqrt 2 x sqrt(7/6)) off.
    assert found.t(13.0) == pytest.approx(1.96396, abs=1e-4)
    assert found.p_either(13.0) == pytest.approx(2 * stats.t.sf(1.96396, 5), rel=1e-4)


def test_a_night_of_few_images_may_lie_further_off() -> None:
    found = Spread.of([10.0, 12.0, 8.0, 10.0, 11.0, 9.0], within=8.0, counts=[64] * 6)

    assert found is not None
    assert found.t(13.0, 64) == found.t(13.0)
    # 8 / sqrt(4) is 4 of chance alone; the days hold 1 of it already.
    assert found.t(13.0, 4) == pytest.approx(3 / math.sqrt(2 * 7 / 6 + 16 - 1))


def test_too_few_days_and_days_that_never_differ_say_nothing() -> None:
    assert Spread.of([1.0, 2.0, 3.0, 4.0]) is None
    still = Spread.of([3.0] * 8)
    assert still is not None
    assert still.p_either(7.0) == 1.0


def test_tails_are_as_heavy_as_those_of_six_degrees_of_freedom() -> None:
    found = Spread.of(np.linspace(-1, 1, 200))

    assert found is not None
    far = found.t(4.0)
    assert found.p_either(4.0) == pytest.approx(2 * stats.t.sf(far, 6))


def test_rates_are_held_against_counts_and_days() -> None:
    known = Counts.of([1, 0, 2, 1] * 5, [1_000] * 20)

    assert known is not None
    assert known.p_above(0, 1_000) == 1.0
    assert known.p_above(2, 1_000) > 0.1
    assert known.p_above(200, 1_000) < 1e-4
    # One of three is no rate.
    assert known.p_above(1, 3) > 1e-3
    assert Counts.of([1], [10]) is None


def test_distances_of_distributions() -> None:
    values = np.linspace(0, 999, 1_000)
    points = spread.grid(values)
    usual = spread.cumulated(values, points)

    assert len(points) == 51
    assert spread.ks(usual, usual) == 0
    assert spread.psi(usual, usual, 1_000) == 0
    # Everything moved by a tenth: ten per cent lie elsewhere.
    moved = spread.cumulated(values + 100, points)
    assert spread.ks(moved, usual) == pytest.approx(0.1, abs=0.002)
    assert 0.5 < spread.psi(moved, usual, 1_000) < 2
    # Where a number has one value alone there is one bin.
    one = spread.grid(np.ones(5))
    assert spread.psi(spread.cumulated(np.ones(5), one), np.ones(1), 5) == 0
