"""A drop of a 12-bit camera, as its files tell nobody: 12 of 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import images
from pcb_spark.monitor.quality_lines import lines
from pcb_spark.pipeline import run_describe
from tests import drops
from tests.core.image_kinds import png, samples

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEPTH = "ingest.bit_depth=12"


def flagged(spark: SparkSession, drop: Path, out: Path, *settings: str) -> list[str]:
    """What describe says of grey levels, in a drop that is ingested with the same settings."""
    drops.ingest(spark, drop, out, *settings)
    run_describe(drops.job(spark, drop, out, *settings))
    found = lines(spark.read.parquet(str(out / "metrics")).collect())
    return [line for line in found if "grey levels" in line]


@pytest.mark.slow
def test_describe_names_a_line_of_which_grey_levels_stay_empty(
    spark: SparkSession, tmp_path: Path
) -> None:
    mono12 = png(samples(1, 12), 16, 0)
    names = [f"images/line=L1/date=2026-01-05/A{n}_C1.png" for n in range(3)]
    drop = drops.write(tmp_path / "drop", dict.fromkeys(names, mono12))
    assert images.decode(mono12).max() == 15
    assert images.decode(mono12, bit_depth=12).max() == 255
    (line,) = flagged(spark, drop, tmp_path / "dark")
    assert line.startswith("line=L1 uses 6% of the grey levels: set ingest.bit_depth")
    assert flagged(spark, drop, tmp_path / "right", DEPTH) == []
