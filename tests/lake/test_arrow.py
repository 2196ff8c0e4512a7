from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import types as t

from pcb_spark.lake import arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WORDS = t.StructType([t.StructField("line", t.StringType()), t.StructField("word", t.StringType())])


def words(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for word in (row["text"] or "").split():
        yield row["line"], word


def test_a_row_becomes_as_many_rows_as_the_function_answers() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"line": ["a", "b", "c"], "text": ["one two", None, "three"]}
    )
    (found,) = arrow.mapper(words, WORDS)([batch])
    assert found.to_pylist() == [
        {"line": "a", "word": "one"},
        {"line": "a", "word": "two"},
        {"line": "c", "word": "three"},
    ]


def test_batches_without_an_answer_keep_the_columns() -> None:
    batch = pa.RecordBatch.from_pydict({"line": ["a"], "text": [""]})
    (found,) = arrow.mapper(words, WORDS)([batch])
    assert (found.num_rows, found.schema.names) == (0, ["line", "word"])


KINDS = t.StructType([
    t.StructField("at", t.TimestampType()),
    t.StructField("numbers", t.ArrayType(t.FloatType(), containsNull=False), nullable=False),
    t.StructField("content", t.BinaryType()),
    t.StructField("size", t.IntegerType()),
    t.StructField("length", t.LongType()),
])  # fmt: skip


def test_every_kind_of_column_gets_through_spark(spark: SparkSession) -> None:
    moment = datetime(2026, 1, 5, 6, 7, 8, 123456, tzinfo=UTC)

    def each(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        yield row["at"], np.array([0.5, 1.5], np.float32), b"\x00\xff", None, 1 << 40

    table = spark.createDataFrame([(moment,)], "at timestamp")
    (row,) = seen(arrow.map_rows(table, each, KINDS))
    assert row == ("2026-01-05 06:07:08.123456", [0.5, 1.5], bytearray(b"\x00\xff"), None, 1 << 40)


def seen(table: DataFrame) -> list[tuple[Any, ...]]:
    """Rows whose times are text, as the session shows them: in UTC."""
    shown = table.withColumn("at", table["at"].cast("string"))
    return [tuple(row) for row in shown.collect()]
