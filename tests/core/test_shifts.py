from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pcb_spark.core import shifts
from pcb_spark.core.shifts import Shift

BERLIN = "Europe/Berlin"  # an hour ahead of UTC in winter


@pytest.mark.parametrize(
    ("hour", "day", "name"),
    [
        (0, 4, "night"), (4, 4, "night"), (5, 4, "early"), (12, 4, "early"), (13, 4, "late"),
        (20, 4, "late"), (21, 5, "night"),
    ],
)  # fmt: skip
def test_a_shift_is_of_the_day_on_which_it_ends(hour: int, day: int, name: str) -> None:
    moment = datetime(2026, 3, 4, hour, 30, tzinfo=UTC)

    assert shifts.of(moment, BERLIN) == Shift(date(2026, 3, day), name)


def test_a_day_is_over_when_its_late_shift_is() -> None:
    day, late = date(2026, 3, 4), datetime(2026, 3, 4, 21, 0, tzinfo=UTC)

    assert shifts.is_over(day, late, BERLIN)
    assert not shifts.is_over(day, late, "UTC")
