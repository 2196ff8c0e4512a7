from __future__ import annotations

import pytest
from scipy import stats

from pcb_spark.monitor import realised


def test_a_slip_that_was_seen_stands_for_those_that_were_not() -> None:
    """Of 1,000 defects 20 slip, of which a tenth is seen: 2 beside 980 caught ones."""
    found = realised.slip_rate(2, 982, seen=0.1, side=0.95)

    assert found.value == pytest.approx(0.02)
    assert found.n == 982
    q = stats.beta.ppf(0.95, 3, 980)
    assert found.upper == pytest.approx(q / (q + 0.1 * (1 - q)))
    assert found.lower < 0.02 < found.upper


def test_where_every_slip_is_seen_the_rate_is_the_one_that_is_seen() -> None:
    assert realised.slip_rate(3, 100, seen=1.0, side=0.95).value == pytest.approx(0.03)


def test_nothing_seen_says_nothing() -> None:
    found = realised.slip_rate(0, 0, seen=0.1, side=0.95)

    assert (found.value, found.lower, found.upper) == (None, 0.0, 1.0)
