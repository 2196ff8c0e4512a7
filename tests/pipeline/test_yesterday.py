from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from pcb_spark.pipeline.nightly import yesterday


@pytest.mark.parametrize(
    ("now", "timezone", "expected"),
    [
        (datetime(2026, 2, 17, 2, 15, tzinfo=UTC), "UTC", date(2026, 2, 16)),
        # It is still the evening of the 16th there,
        (datetime(2026, 2, 17, 2, 15, tzinfo=UTC), "America/Los_Angeles", date(2026, 2, 15)),
        # and here it is morning of the 17th already.
        (datetime(2026, 2, 16, 18, 15, tzinfo=UTC), "Asia/Tokyo", date(2026, 2, 16)),
        # The night in which clocks go forward has 23 hours.
        (datetime(2026, 3, 29, 22, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 29)),
        (datetime(2026, 3, 1, 2, 0, tzinfo=UTC), "UTC", date(2026, 2, 28)),
    ],
)
def test_yesterday_is_the_plants(now: datetime, timezone: str, expected: date) -> None:
    assert yesterday(now, timezone) == expected
