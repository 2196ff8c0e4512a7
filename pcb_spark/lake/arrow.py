"""Rows of a table through a plain Python function, by Spark's mapInArrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248
from pyspark.sql.pandas.types import to_arrow_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

#: One row by the names of its columns, to the rows that come of it.
Each = Callable[[dict[str, Any]], Iterable[Sequence[Any]]]
Mapper = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_rows(table: DataFrame, each: Each, schema: StructType) -> DataFrame:
    """Give every row of ``table`` to ``each``; what it answers are rows of the new table.

    Parameters
    ----------
    each : runs in Spark's Python workers; its rows, none or more, have the order of ``schema``.
    """
    return table.mapInArrow(mapper(each, schema), schema)


def mapper(each: Each, schema: StructType) -> Mapper:
    """Return the function that mapInArrow wants: batches of Arrow to batches of ``schema``."""
    wanted = to_arrow_schema(schema)

    def map_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [made for row in batch.to_pylist() for made in each(row)]
            columns = zip(*rows, strict=True) if rows else [()] * len(wanted)
            arrays = [
                pa.array(values, field.type) for values, field in zip(columns, wanted, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    return map_partition
