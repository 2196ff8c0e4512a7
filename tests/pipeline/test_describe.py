from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.pipeline import Counts, run_describe, summary
from tests import drops
from tests.leased import claimed
from tests.rows import png

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def board(seed: int) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return png(blocks.repeat(8, axis=0).repeat(8, axis=1))


@pytest.mark.slow
def test_describe_writes_metrics_and_the_summary_shows_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    layout: dict[str, bytes | str] = {
        f"images/line=L1/date=2026-01-{day:02}/board{day}_R1.png": board(day)
        for day in range(5, 12)
    }
    layout["images/line=L1/date=2026-01-11/again_R1.png"] = board(5)
    layout["images/line=L1/date=2026-01-11/small_R1.png"] = drops.picture()
    first = "images/line=L1/date=2026-01-05/board5_R1.png"
    layout["verdicts.csv"] = f"image,verdict,verified_at\n{first},fail,2026-01-05T06:00:00Z"
    drop, out = drops.write(tmp_path / "drop", layout), tmp_path / "out"
    drops.ingest(spark, drop, out)
    job = drops.job(spark, drop, out)
    with claimed(job, "describe") as own:
        assert run_describe(own) == Counts(rows_in=9, rows_out=9, rows_rejected=0)
    found = {
        row[:3]: row[3:]
        for row in drops.rows(
            spark, out, "metrics", "scope_kind", "scope_value", "metric", "value", "n"
        )
    }
    assert found["overall", None, "duplicates"] == (1, 9)
    assert found["overall", None, "verdict_lag_hours_median"] == (6.0, 1)
    assert found["size", "20x16", "first_day"] == (20260111, 1)
    assert found["fold", "4", "equal_in_training"] == (1, 3)
    assert found["fold", "4", "near_in_training"] == (1, 3)
    text = summary.of_run(job)
    assert "describe        9 image rows in = 9 out + 0 rejected" in text
    assert "images 9 on 9 boards, 7 days of 1 to 3" in text
    assert "day=2026-01-11: first size=20x16, 1 images" in text
    assert "fold=4: 1 of 3 test images nearly as in training, 1 the same" in text


def test_describe_asks_for_ingest_first(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)no table at .*/images.*run the job"):
        run_describe(drops.job(spark, "drop", tmp_path))
