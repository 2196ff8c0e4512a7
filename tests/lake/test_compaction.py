from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import AccountingError
from pcb_spark.lake import compaction, schemas, tables
from pcb_spark.lake.compaction import Checksum, Files
from tests.rows import images_table, noise

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MB = 1 << 20


def rows(spark: SparkSession, *given: tuple[str | None, str | None]) -> DataFrame:
    return spark.createDataFrame(list(given), "one string, other string")


def test_rows_add_up_to_the_same_in_any_order(spark: SparkSession) -> None:
    found = compaction.checksum(rows(spark, ("a", "b"), ("c", None)))
    assert found.rows == 2
    assert compaction.checksum(rows(spark, ("c", None), ("a", "b")).repartition(2)) == found


@pytest.mark.parametrize(
    "changed",
    [
        [("a", "b")],
        [("a", "b"), ("c", None), ("c", None)],
        [("a", "b"), ("a", "b")],
        [("a", "b"), (None, "c")],
        [("a", "b"), ("c", "")],
    ],
)
def test_rows_that_are_not_the_same_add_up_to_something_else(
    spark: SparkSession, changed: list[tuple[str | None, str | None]]
) -> None:
    before = compaction.checksum(rows(spark, ("a", "b"), ("c", None)))
    with pytest.raises(AccountingError, match="rows of here changed"):
        compaction.require_same(before, compaction.checksum(rows(spark, *changed)), "here")


def test_no_rows_add_up_to_nothing(spark: SparkSession) -> None:
    assert compaction.checksum(rows(spark, ("a", "b")).limit(0)) == Checksum(0, Decimal(0))


def test_images_differ_by_their_bytes(spark: SparkSession) -> None:
    one = images_table(spark, [(noise(1), None)])
    other = one.withColumn(names.IMAGE, F.lit(noise(2)))
    assert compaction.checksum(one) != compaction.checksum(other)


@pytest.mark.parametrize(("size", "files"), [(1, 1), (10 * MB, 1), (10 * MB + 1, 2), (95 * MB, 10)])
def test_as_many_files_as_the_bytes_need(size: int, files: int) -> None:
    found = Files(day=None, files=50, size=size, rows=7)
    assert compaction.wanted(found, 10) == files


def test_files_are_counted_by_day(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "images")
    table = images_table(spark, [(noise(n), None) for n in range(20)])
    for _ in range(2):
        tables.writer(table, schemas.IMAGES, by_date=True).mode("append").parquet(uri)
    found = compaction.files_of(tables.read(spark, uri, schemas.IMAGES))
    on_disk = {
        folder.name: sum(file.stat().st_size for file in folder.glob("*.parquet"))
        for folder in Path(uri).glob("capture_date=*")
    }
    assert [(f"capture_date={f.day}", f.files, f.rows, f.size) for f in found] == [
        ("capture_date=2026-01-05", 2, 36, on_disk["capture_date=2026-01-05"]),
        ("capture_date=2026-01-06", 2, 4, on_disk["capture_date=2026-01-06"]),
    ]
