from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from pcb_spark.core.errors import TrainingError
from pcb_spark.learning.judged import Judged
from tests.judged import judged


def test_verdicts_of_another_length_are_refused() -> None:
    with pytest.raises(TrainingError, match="each of 3 images"):
        judged([True, False], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("column", "value"),
    [("board_id", ["b"]), ("fold", [1, 1, 1]), ("defects", [["open"], ["open"]]), ("line", [])],
)
def test_columns_of_another_length_are_refused(column: str, value: list[object]) -> None:
    with pytest.raises(TrainingError, match=rf"(?s){column} doesn't fit.*each of 2 images"):
        judged([True, False], [0.1, 0.2], **{column: value})  # type: ignore[arg-type]


def test_rows_keep_their_columns_and_thresholds() -> None:
    table = judged([True, False, True], [0.9, 0.1, 0.4], fold=[1, 1, 2], line=["L1", None, "L2"])

    later = table.at([0.2, 0.3, 0.5])[table.fold == 2]

    assert len(later) == 1
    assert (later.image_id.tolist(), later.score.tolist()) == (["i2"], [0.4])
    assert (later.threshold.tolist(), later.segments("line").tolist()) == ([0.5], ["L2"])
    assert table.threshold.tolist() == [0.0, 0.0, 0.0]
    assert table.segments(None).tolist() == [None, None, None]


def test_other_scores_are_checked_too() -> None:
    table = judged([True, False], [0.9, 0.1])

    assert table.scored([0.2, 1.5], [2, 3]).fold.tolist() == [2, 3]
    assert math.isnan(table.scored([0.2, 1.5], [2, 3]).score[1])
    with pytest.raises(TrainingError, match="probability doesn't fit"):
        table.scored([0.2], [2, 3])


def out_of_fold(verdicts: list[str | None]) -> pd.DataFrame:
    columns = ("image_id", "board_id", "line", "lot", "position", "part_number", "defects")
    rows = {name: ["x"] * len(verdicts) for name in columns}
    told = {"verdict": verdicts, "probability": 0.25, "fold": 1}
    return pd.DataFrame({**rows, **told, "captured_at": pd.Timestamp(2026, 2, 3, 23, 30)})


def test_a_table_is_read_off_out_of_fold_scores() -> None:
    rows = out_of_fold(["fail", "pass"]).assign(line=["L1", np.nan])

    table = Judged.read(rows)

    assert table.is_fail.tolist() == [True, False]
    assert table.score.tolist() == [0.25, 0.25]
    assert table.labels["line"].tolist() == ["L1", None]
    assert table.period() == (date(2026, 2, 3), date(2026, 2, 3))
    assert len(Judged.read(rows.head(0))) == 0


def test_the_plants_date_goes_before_that_of_the_clock() -> None:
    rows = out_of_fold(["fail", "pass"]).assign(capture_date=[date(2026, 2, 4), date(2026, 2, 6)])

    table = Judged.read(rows)

    assert table.period() == (date(2026, 2, 4), date(2026, 2, 6))
    assert table[table.is_fail].period() == (date(2026, 2, 4), date(2026, 2, 4))


def test_images_of_unknown_times_come_last_and_have_no_period() -> None:
    times = ["2026-02-03T10:00", "NaT", "2026-02-03T09:59"]
    table = judged([True, False, True], [0.1, 0.2, 0.3], captured_at=times)

    assert table.in_time().image_id.tolist() == ["i2", "i0", "i1"]
    assert table.period() == (None, None)


def test_a_row_without_verdict_is_not_read_as_good() -> None:
    with pytest.raises(TrainingError, match="no operator has verified"):
        Judged.read(out_of_fold(["fail", None]))
