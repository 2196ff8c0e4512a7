from __future__ import annotations

from benchmarks import whole_run


def test_ways_are_held_against_the_first_one() -> None:
    told = whole_run.table({"one": [20.0, 10.0, 30.0], "other": [10.0, 8.0, 12.0]}, 100)
    assert [line.split(" | ")[1:] for line in told.splitlines()[2:4]] == [
        ["20.0", "5.0", "1.00", "3 |"], ["10.0", "10.0", "2.00", "3 |"],
    ]  # fmt: skip
