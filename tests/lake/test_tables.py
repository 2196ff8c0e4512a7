from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core.errors import AccountingError, InputError
from pcb_spark.lake import exchange, tables
from tests import drops
from tests.leased import writer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
SCHEMA = t.StructType([
    t.StructField("image_id", t.StringType(), nullable=False),
    t.StructField("number", t.LongType()),
    t.StructField("capture_date", t.DateType()),
])  # fmt: skip


def frame(spark: SparkSession, *rows: tuple[str, int, date]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


def failing(spark: SparkSession) -> DataFrame:
    """Two rows, of which the second one fails when it is computed."""
    rows = frame(spark, ("a", 1, MONDAY), ("b", 2, MONDAY)).coalesce(1)
    fault = F.expr("raise_error('no number')").cast("long")
    return rows.withColumn("number", F.when(F.col("image_id") == "b", fault).otherwise(7))


def content(spark: SparkSession, folder: Path, table: str = "table") -> list[tuple[object, ...]]:
    return drops.rows(spark, folder, table, "image_id", "number", "capture_date")


def test_table_lies_below_the_output() -> None:
    assert tables.locate("out/demo", "images") == "out/demo/images"
    assert tables.locate("abfss://store@host/", "images") == "abfss://store@host/images"


def test_qualified_names_the_file_system(spark: SparkSession) -> None:
    assert tables.qualified(spark, "/some/where/") == "file:/some/where"
    assert tables.qualified(spark, "here") == f"file:{Path.cwd() / 'here'}"


def test_table_is_read_by_its_schema(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    extended = frame(spark, ("a", 1, MONDAY)).withColumn("more", F.lit("dropped"))
    tables.replace(extended, uri, SCHEMA)
    found = tables.read(spark, uri, SCHEMA)
    assert found.columns == ["image_id", "number", "capture_date"]
    assert [tuple(row) for row in found.collect()] == [("a", 1, MONDAY)]


def test_missing_table(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no table at {tmp_path}/none") as caught:
        tables.read(spark, f"{tmp_path}/none", SCHEMA)
    assert "run the job that writes it first" in str(caught.value)


def test_replace_leaves_nothing_of_the_old_table(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    tables.replace(frame(spark, ("a", 1, MONDAY), ("b", 2, TUESDAY)), uri, SCHEMA, by_date=True)
    tables.replace(frame(spark, ("c", 3, TUESDAY)), uri, SCHEMA, by_date=True)
    assert content(spark, tmp_path) == [("c", 3, TUESDAY)]
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert [path.name for path in (tmp_path / "table").glob("capture_date=*")] == [
        "capture_date=2026-01-06"
    ]


def test_replace_that_fails_leaves_the_old_table(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    tables.replace(frame(spark, ("a", 1, MONDAY)), uri, SCHEMA)
    with (
        pytest.raises(InputError, match=r"got: java\.lang\.RuntimeException: no number"),
        tables.spark_failures("it fails", hint="expected"),
    ):
        tables.replace(failing(spark), uri, SCHEMA)
    assert content(spark, tmp_path) == [("a", 1, MONDAY)]
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_readers_see_the_old_table_until_the_new_one_is_whole(
    spark: SparkSession, tmp_path: Path
) -> None:
    uri = str(tmp_path / "table")
    tables.replace(frame(spark, ("a", 1, MONDAY)), uri, SCHEMA)
    with tables.staged(spark, uri) as staging:
        frame(spark, ("b", 2, MONDAY)).write.parquet(staging)
        assert content(spark, tmp_path) == [("a", 1, MONDAY)]
    assert content(spark, tmp_path) == [("b", 2, MONDAY)]


def test_what_interrupted_runs_left_behind_is_removed_by_who_holds_a_lease(
    spark: SparkSession, tmp_path: Path
) -> None:
    left = [".staging-table", ".staging-table-run-7", ".staging-table.old", ".staging-tables-run-7"]
    drops.write(tmp_path, {f"{name}/part-0.parquet": b"half a file" for name in left})
    with writer(spark, tmp_path, "train") as lease:
        one = frame(spark, ("a", 1, MONDAY))
        tables.replace(one, str(tmp_path / "table"), SCHEMA, lease=lease)
    assert content(spark, tmp_path) == [("a", 1, MONDAY)]
    assert [path.name for path in tmp_path.glob(".staging*")] == [".staging-tables-run-7"]


def test_runs_at_the_same_time_write_into_folders_of_their_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    uri = str(tmp_path / "table")
    with tables.staged(spark, uri) as one, tables.staged(spark, uri) as other:
        frame(spark, ("a", 1, MONDAY)).write.parquet(one)
        frame(spark, ("b", 2, MONDAY)).write.parquet(other)
    assert content(spark, tmp_path) == [("a", 1, MONDAY)]
    assert not list(tmp_path.glob(".staging*"))


def test_append_waits_for_an_exchange(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setattr(exchange, "settle", lambda _, uri: waited.append(uri))
    tables.append_rows(spark, [("a", 1, MONDAY)], str(tmp_path / "table"), SCHEMA)
    assert waited == [str(tmp_path / "table")]


def test_interrupted_write_leaves_the_old_table(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    tables.replace(frame(spark, ("a", 1, MONDAY)), uri, SCHEMA)
    with pytest.raises(KeyboardInterrupt), tables.staged(spark, uri):
        raise KeyboardInterrupt
    assert content(spark, tmp_path) == [("a", 1, MONDAY)]


def test_old_table_comes_back_when_the_new_one_cannot_take_its_place(
    spark: SparkSession, tmp_path: Path
) -> None:
    uri = str(tmp_path / "table")
    tables.replace(frame(spark, ("a", 1, MONDAY)), uri, SCHEMA)
    with (
        pytest.raises(InputError, match="the swap fails"),
        tables.spark_failures("the swap fails", hint="expected"),
        tables.staged(spark, uri),
    ):
        pass  # nothing is staged, so there is nothing to move
    assert content(spark, tmp_path) == [("a", 1, MONDAY)]
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_rewrite_makes_fewer_files_of_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    for name in "abc":
        tables.append(frame(spark, (name, 1, MONDAY)), uri, SCHEMA)
    tables.rewrite(tables.read(spark, uri, SCHEMA), uri, SCHEMA, files=1)
    assert content(spark, tmp_path) == [("a", 1, MONDAY), ("b", 1, MONDAY), ("c", 1, MONDAY)]
    assert len(list((tmp_path / "table").glob("*.parquet"))) == 1


def test_rewrite_that_would_lose_a_row_leaves_the_table(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "table")
    tables.append(frame(spark, ("a", 1, MONDAY), ("b", 2, MONDAY)), uri, SCHEMA)
    whole = tables.read(spark, uri, SCHEMA)
    monkeypatch.setattr(type(whole), "repartition", lambda df, _: df.where("image_id = 'a'"))
    with pytest.raises(AccountingError, match="expected: 2 rows"):
        tables.rewrite(whole, uri, SCHEMA, files=1)
    assert content(spark, tmp_path) == [("a", 1, MONDAY), ("b", 2, MONDAY)]


def test_replace_dates_leaves_other_dates_alone(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    tables.replace_dates(frame(spark, ("a", 1, MONDAY), ("b", 2, TUESDAY)), uri, SCHEMA)
    tables.replace_dates(frame(spark, ("c", 3, TUESDAY), ("d", 4, WEDNESDAY)), uri, SCHEMA)
    assert content(spark, tmp_path) == [("a", 1, MONDAY), ("c", 3, TUESDAY), ("d", 4, WEDNESDAY)]


def test_append_adds_rows(spark: SparkSession, tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    tables.append_rows(spark, [("a", 1, MONDAY)], uri, SCHEMA)
    tables.append_rows(spark, [("a", 1, MONDAY)], uri, SCHEMA)
    assert content(spark, tmp_path) == [("a", 1, MONDAY), ("a", 1, MONDAY)]


def test_folder_goes_up_and_comes_down_unchanged(spark: SparkSession, tmp_path: Path) -> None:
    source = drops.write(tmp_path / "source", {"a.json": b"{}", "b.onnx": b"\x08\x08"})
    (tmp_path / "target").mkdir()
    tables.upload(spark, source, str(tmp_path / "store"))
    assert tables.exists(spark, str(tmp_path / "store"))
    tables.download(spark, str(tmp_path / "store"), tmp_path / "target")
    assert {path.name: path.read_bytes() for path in (tmp_path / "target").iterdir()} == {
        "a.json": b"{}", "b.onnx": b"\x08\x08",
    }  # fmt: skip
    tables.remove(spark, str(tmp_path / "store"))
    assert not tables.exists(spark, str(tmp_path / "store"))


def test_failure_of_sparks_analysis_is_one_sentence(spark: SparkSession) -> None:
    with (
        pytest.raises(InputError, match="it fails") as caught,
        tables.spark_failures("it fails", hint="correct it"),
    ):
        spark.read.parquet("/no/such/table")
    assert caught.value.got == "[PATH_NOT_FOUND] Path does not exist: file:/no/such/table."
    assert caught.value.hint == "correct it"


def test_other_failures_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), tables.spark_failures("never said", hint=""):
        raise ZeroDivisionError
