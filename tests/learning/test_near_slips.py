from __future__ import annotations

from pcb_spark.learning.near_slips import near_slips


def test_caught_defects_just_above_the_threshold_are_counted() -> None:
    found = near_slips([0.3, 0.39, 0.4, 0.9], near_until=0.4, expected=0.1)

    assert (found.found.value, found.found.n) == (0.5, 4)
    assert not found.risen  # 2 of 4 may be chance


def test_more_of_them_than_chance_allows_is_a_warning() -> None:
    assert near_slips([0.3] * 8 + [0.9] * 8, near_until=0.4, expected=0.1).risen


def test_none_caught_says_nothing() -> None:
    assert not near_slips([], near_until=0.4, expected=0.0).risen
