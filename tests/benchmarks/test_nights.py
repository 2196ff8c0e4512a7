from __future__ import annotations

import pandas as pd

from benchmarks import nights

IMAGES = pd.DataFrame(
    [("i1", "B", "2026-01-07"), ("i2", "A", "2026-01-05"), ("i3", "A", "2026-01-06"),
     ("i4", "C", "2026-01-08"), ("i5", "C", "2026-01-09")],
    columns=["image_id", "lot", "capture_date"],
)  # fmt: skip


def test_days_of_the_first_lots_make_the_champion_and_the_others_are_nights() -> None:
    known, following = nights.days_of(IMAGES, 2)

    assert known == ["2026-01-05", "2026-01-06", "2026-01-07"]
    assert following == ["2026-01-08", "2026-01-09"]


def test_the_table_has_a_line_a_night_and_one_of_all() -> None:
    rows = pd.DataFrame(
        [("2026-01-08", "C", "fail", "pass", None), ("2026-01-08", "C", "fail", "fail", "decision"),
         ("2026-01-08", "C", "pass", "pass", "audit"), ("2026-01-08", "C", "pass", "pass", None),
         ("2026-01-09", "C", "pass", "fail", "decision")],
        columns=["capture_date", "lot", "verdict", "decision", "review"],
    )  # fmt: skip

    assert nights.table(rows).splitlines()[2:] == [
        "| 2026-01-08 | C | 4 | 2 | 1 | 100% | 75% | 50% |",
        "| 2026-01-09 | C | 1 | 0 | 0 | 0% | 0% | 0% |",
        "| all |  | 5 | 2 | 1 | 67% | 60% | 40% |",
    ]
