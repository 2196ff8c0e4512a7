"""Columns of text that Spark turns into times, by the reader of ``core.times``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from pcb_spark.core.times import Reader


def fault_of(name: str) -> str:
    """The column that says why the text in the column ``name`` is no time."""
    return f"{name}_fault"


def parsed(table: DataFrame, names: Sequence[str], reader: Reader) -> DataFrame:
    """Turn columns of text into times, and add what ``fault_of`` names for each of them."""
    from pyspark.sql.types import StringType, StructField, StructType, TimestampType

    fields = [
        StructField(field.name, TimestampType()) if field.name in names else field
        for field in table.schema.fields
    ]
    faults = [StructField(fault_of(name), StringType()) for name in names]
    return table.mapInArrow(_parser(tuple(names), reader), StructType(fields + faults))


def _parser(
    names: Sequence[str], reader: Reader
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def parse_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            for name in names:
                found = [reader.judge(text) for text in columns[name].to_pylist()]
                times = [moment for moment, _ in found]
                columns[name] = pa.array(times, pa.timestamp("us", tz="UTC"))
                columns[fault_of(name)] = pa.array([fault for _, fault in found], pa.string())
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    return parse_partition
