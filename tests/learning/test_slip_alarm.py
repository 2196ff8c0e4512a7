from __future__ import annotations

import math

import numpy as np
import pytest

from pcb_spark.core.review import Shares
from pcb_spark.learning.slip_alarm import ALARM, nights_to_notice, slip_alarm


def test_one_audited_slip_by_hand() -> None:
    """a = .5, s = .02: q = .01 / .99 = 1/99; at 1.5, 2, 3, 5, 10 times s 3/197, 1/49, ..., 1/9."""
    expected = np.mean([3 / 197, 1 / 49, 3 / 97, 1 / 19, 1 / 9]) * 99

    found = slip_alarm([True], [0.5], max_slip_rate=0.02)

    assert (found.defects, found.audited_slips) == (1, 1)
    assert found.e_value == pytest.approx(expected)
    assert found.highest == found.e_value
    assert not found.raised


def test_a_caught_defect_by_hand() -> None:
    expected = np.mean([194 / 197, 48 / 49, 94 / 97, 18 / 19, 8 / 9]) * 99 / 98

    assert slip_alarm([False], [0.5], max_slip_rate=0.02).e_value == pytest.approx(expected)


def test_nothing_seen_says_nothing() -> None:
    found = slip_alarm([], [], max_slip_rate=0.02)

    assert (found.defects, found.e_value, found.raised) == (0, 1.0, False)


def test_what_could_not_have_been_seen_says_nothing() -> None:
    assert slip_alarm([False] * 9, [0.0] * 9, max_slip_rate=0.02).defects == 0


def test_an_alarm_stays_raised_once_it_was() -> None:
    """Ten slips in a row, and then a thousand defects that were all caught."""
    found = slip_alarm([True] * 10 + [False] * 1_000, [0.5] * 1_010, max_slip_rate=0.02)

    assert found.e_value < 1
    assert found.highest > ALARM
    assert found.raised


def test_a_long_history_overflows_nowhere() -> None:
    found = slip_alarm([True] * 5_000, [0.5] * 5_000, max_slip_rate=0.02)

    assert found.raised
    assert found.highest > 1e300


def test_ten_times_a_high_promise_is_a_rate_still() -> None:
    found = slip_alarm([True, False], [0.5, 0.5], max_slip_rate=0.3)

    assert math.isfinite(found.e_value)


@pytest.mark.parametrize(
    ("audit", "half", "most"), [(0.02, 187, 475), (0.2, 21, 53)], ids=["2 %", "20 %"]
)
def test_nights_until_a_doubling_is_noticed(audit: float, half: float, most: float) -> None:
    """Simulated apart from this code, at 100 defects a night, for an audit of a alone."""
    shares = Shares(control=audit, audit=0)

    found = nights_to_notice(shares, max_slip_rate=0.02, multiple=2, defects=100)

    assert found == pytest.approx((half, most), rel=0.12)


def test_nobody_notices_where_nobody_looks() -> None:
    found = nights_to_notice(
        Shares(control=0, audit=0), max_slip_rate=0.02, multiple=2, defects=100
    )

    assert found == (math.inf, math.inf)
