from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from benchmarks import replay
from benchmarks.rules import RATES, RULES

if TYPE_CHECKING:
    from pathlib import Path

NEXT = RULES[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folds of one day and lot each: 100 defects, one of them lower, and two good images."""
    frames = [
        pd.DataFrame({
            "lot": lot, "fold": fold, "captured_at": datetime(2024, 1, fold),
            "verdict": ["fail"] * 100 + ["pass"] * 2,
            "probability": [low] + [0.75] * 99 + [0.25, 0.4],
        })
        for lot, low, fold in (("B", 0.3, 2), ("A", 0.5, 1))
    ]  # fmt: skip
    unscorable = frames[0].head(1).assign(probability=math.nan)
    pd.concat([*frames, unscorable]).to_parquet(tmp_path / "part.parquet")
    return tmp_path


def test_a_table_is_read_in_the_order_of_time_without_what_has_no_score(folder: Path) -> None:
    table = replay.read(folder)
    assert table["lot"].tolist() == ["A"] * 102 + ["B"] * 102


def test_every_order_of_the_lots_is_a_history(folder: Path) -> None:
    found = replay.by_lot(replay.read(folder), orders=8)

    # The lowest of 100 defects is the threshold at 5 %: .5 after lot A, .3 after lot B.
    own = [each for each in found if each.of(NEXT, 0.05)]
    assert len(found) == 8 * len(RULES) * len(RATES)
    assert {each.cleared for each in own} == {0.5, 1.0}
    assert all(each.next_held and each.fold_held for each in own)


def test_forward_tells_what_slips_and_is_cleared_in_each_later_fold(folder: Path) -> None:
    lines = replay.forward(replay.read(folder)).splitlines()

    assert lines[0] == "| forward | fold 2, 2% | fold 2, 5% |"
    assert "| next | 0 of 100 slipped, 0% cleared | 1 of 100 slipped, 100% cleared |" in lines
    assert len(lines) == 2 + len(RULES)
