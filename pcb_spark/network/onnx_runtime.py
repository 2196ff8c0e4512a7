"""ONNX Runtime in Spark's Python workers: the engine that needs no jar, and boxes no pixel.

A worker decodes as for SynapseML, and runs the same batches in a session of its own, by the package
that edge machines and the web service have. It is sent as a function with its graph, so that it
runs wherever ``mapInArrow`` does, Spark Connect included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyspark.sql import types as t
from pyspark.sql.pandas.types import to_arrow_schema

from pcb_spark.core import batches, names, sessions
from pcb_spark.network import batching

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.network.inference import InferencePlan

#: Rows that go back to Spark in one message.
_ROWS: Final = 64
_FLOATS: Final = t.ArrayType(t.FloatType(), containsNull=False)
_TYPES: Final = {batches.FEATURES: _FLOATS, batches.PROBABILITY: t.FloatType()}

Row = dict[str, Any]


def run_images(placed: DataFrame, graph: bytes, output: str, plan: InferencePlan) -> DataFrame:
    """Run ``graph`` over images that lie in their partitions and in order; see ``inference``."""
    carried = [f for f in placed.schema.fields if f.name not in (names.IMAGE, names.REFERENCE)]
    schema = t.StructType([
        *carried,
        t.StructField(output, _TYPES[output]),
        t.StructField(names.REASON, t.StringType()),
        t.StructField(names.DETAIL, t.StringType()),
    ])  # fmt: skip

    def scored(record_batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
        session = sessions.of(graph, threads=plan.threads)
        for rows, inputs in batching.batched(record_batches, plan):
            slots = [row.pop(batching.SLOT) for row in rows]
            readable = any(slot is not None for slot in slots)
            found: Any = session.run([output], inputs)[0] if readable else None
            for row, slot in zip(rows, slots, strict=True):
                row[output] = None if slot is None else found[0][slot]
                yield row

    return placed.mapInArrow(_in_arrow(scored, schema), schema)


def run_classifier(features: DataFrame, graph: bytes) -> DataFrame:
    """Put ``probability``, a float, in the place of ``features``.

    Parameters
    ----------
    graph : ``graphs.classifier_graph``. It gets a row at a time, as ONNXModel does.
    """
    carried = [f for f in features.schema.fields if f.name != names.FEATURES]
    schema = t.StructType([*carried, t.StructField(names.PROBABILITY, t.FloatType())])

    def scored(record_batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
        session = sessions.of(graph)
        for records in record_batches:
            for row in records.to_pylist():
                numbers = np.array(row.pop(names.FEATURES), dtype=np.float32)[None, None]
                (found,) = session.run([batches.PROBABILITY], {batches.FEATURES: numbers})
                yield row | {names.PROBABILITY: found[0, 0]}

    return features.mapInArrow(_in_arrow(scored, schema), schema)


Scored = Callable[[Iterable[pa.RecordBatch]], Iterator[Row]]
Partition = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def _in_arrow(scored: Scored, schema: t.StructType) -> Partition:
    """Give rows back in a few large messages."""
    arrow = to_arrow_schema(schema)

    def run_partition(record_batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[Row] = []
        for row in scored(record_batches):
            rows.append(row)
            if len(rows) == _ROWS:
                yield pa.RecordBatch.from_pylist(rows, schema=arrow)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=arrow)

    return run_partition
