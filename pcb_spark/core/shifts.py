"""The shifts of a plant's day: early, late, night.

A shift belongs to the day on which it ends, so that a day's shifts are over before the night that
looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

#: Hours at the plant at which shifts begin, and what they are called.
HOURS: Final = ((6, "early"), (14, "late"), (22, "night"))


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift, by the day on which it ends."""

    day: date
    name: str


def of(moment: datetime, timezone: str) -> Shift:
    """Say in which shift something happened.

    Parameters
    ----------
    moment : with a zone.
    timezone : the plant's, by its IANA name.
    """
    local = moment.astimezone(ZoneInfo(timezone))
    last, night = HOURS[-1]
    if local.hour >= last:
        return Shift(local.date() + timedelta(days=1), night)
    begun = [name for hour, name in HOURS if hour <= local.hour]
    return Shift(local.date(), begun[-1] if begun else night)


def is_over(day: date, now: datetime, timezone: str) -> bool:
    """Say whether all shifts of a day are over."""
    end = datetime.combine(day, time(HOURS[-1][0]), ZoneInfo(timezone))
    return now.astimezone(UTC) >= end.astimezone(UTC)
