from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import golden_nights, goldens
from tests.goldens import decoded

if TYPE_CHECKING:
    import pytest


def row(day: int, name: str, verdict: str = "pass") -> dict[str, str]:
    return {
        "image": name, "board_id": name, "line": "L1", "position": "U1", "verdict": verdict,
        "captured_at": f"2026-01-{day:02}T06:00:00Z", "defects": "",
    }  # fmt: skip


def test_an_image_is_compared_with_what_earlier_days_made() -> None:
    rows = [row(5, "a"), row(5, "b"), row(5, "c"), row(5, "d", "fail"), row(6, "e"), row(6, "f")]
    pixels = {each["image"]: decoded(1, number) for number, each in enumerate(rows)}
    pixels["f"] = decoded(2)
    found = goldens.compared(rows, pixels, wrong=0.0)
    assert sorted(found) == ["e"]
    spoiled = goldens.compared(rows, pixels, wrong=1.0)
    assert not np.array_equal(found["e"], spoiled["e"])


def test_a_line_begins_without_golden_images_and_clears_once_it_knows_enough(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start, rows, fails = date(2026, 1, 1), [], []
    for number in range(1200):
        day = start + timedelta(days=number // 200)
        fails.append(number % 2 == 0)
        rows.append(row(day.day, str(number), "fail" if fails[-1] else "pass"))
    values = np.where(fails, 1.0, 0.0)[:, None] + np.random.default_rng(0).normal(0, 0.1, (1200, 1))
    days = np.array([golden_nights.day_of(each) for each in rows], dtype="datetime64[D]")
    there = days > np.datetime64("2026-01-01")
    seen = golden_nights.Seen(there, values.astype(np.float32))
    golden_nights.say_nights(rows, seen, np.array(fails), days, 2)
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [line[1] for line in table] == ["50%", "0%", "0%"]
    assert [line[2] for line in table] == ["none", "1.000", "1.000"]
    assert [line[3] for line in table][:2] == ["0%", "0%"]
    assert table[2][3] == "100%"
