from __future__ import annotations

from benchmarks import quiet_nights


def test_quiet_nights_stay_quiet_and_a_dark_line_is_named_within_two() -> None:
    """A share of `make quiet-nights`: .05 false alarms are expected in these nights."""
    found = quiet_nights.watch(3, days=15, nights=10, images=60)

    assert found.nights == 10
    assert found.alarms == 0
    assert found.noticed_after in (1, 2)
    assert found.others == frozenset()
