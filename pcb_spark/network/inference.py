"""Images through an ONNX graph on Spark: decode and pack in Python, then run by one of two engines.

With ``names.SYNAPSEML`` the graph runs in SynapseML's ONNXModel. ``pack`` groups the images of a
partition into batches, one row each, in the layout that ``batches`` describes. Every image travels
with its batch, those that can't be decoded too: they carry a reason instead of a slot, so that no
row can get lost between the two sides. With ``names.ONNXRUNTIME`` the graph runs in the Python
worker that decodes, see ``onnx_runtime``. Batches are the same, and so is every number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql import types as t
from pyspark.sql.pandas.types import to_arrow_type

from pcb_spark.core import batches, names
from pcb_spark.core.pairs import Reading
from pcb_spark.network import batching, onnx_runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

ITEMS = "items"
ITEM = "item"
OUTPUT = "output"

DEFAULT_BATCH_SIZE = 8
DEFAULT_IMAGES_PER_PARTITION = 1024
_ALONE = Reading(difference=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """How many images go into one call of ONNX Runtime, and how many partitions there are.

    A call of ONNX Runtime takes up to ``batch_size`` images, references included: the maps of more
    don't fit the processor's caches. With references it takes the images of one, often a single
    pair: two images at a time are a fifth faster than eight where the network is shallow, and as
    fast where it is deep. One partition is one task, one ONNX session of ``threads`` threads and
    one Python worker.
    Partitions are a multiple of the task slots, so that no slot idles through the last wave.
    An executor of one core holds its heap, and beside it some 0.4 GB of Python and ONNX Runtime;
    with 12-megapixel files some 0.6 GB, most of it a batch of 32 rows on its way to Python.
    ``reading`` is that of the model whose graph runs; ``engine`` is ``names.SYNAPSEML`` or
    ``names.ONNXRUNTIME``.
    """

    batch_size: int
    partitions: int
    threads: int
    max_pixels: int
    reading: Reading = _ALONE
    engine: str = names.SYNAPSEML

    @classmethod
    def derive(
        cls,
        *,
        count: int,
        slots: int,
        threads: int,
        max_pixels: int,
        images_per_partition: int = 0,
        engine: str = names.SYNAPSEML,
    ) -> InferencePlan:
        """Derive what is 0 from the number of images and the task slots of the session."""
        per_partition = images_per_partition or DEFAULT_IMAGES_PER_PARTITION
        waves = max(1, math.ceil(count / (per_partition * slots)))
        return cls(
            batch_size=DEFAULT_BATCH_SIZE,
            partitions=waves * slots,
            threads=threads,
            max_pixels=max_pixels,
            engine=engine,
        )


def run_images(df: DataFrame, graph: bytes, output: str, plan: InferencePlan) -> DataFrame:
    """Run ``graph`` over the images of ``df`` and put its ``output`` beside each of them.

    Parameters
    ----------
    df : columns ``image_id``, ``image`` and, where references are read, ``reference``
        and ``reference_sha256``; whatever else it has is carried along.
    output : ``batches.FEATURES`` or ``batches.PROBABILITY``.

    Returns
    -------
    The carried columns, ``output`` (null where there is none), ``reason`` and ``detail`` (null
    where there is an output). As many rows as ``df`` has.
    """
    if plan.reading.difference:
        # Batches tell references apart by their hash, which a table may lack.
        hashed = F.coalesce(names.REFERENCE_SHA256, F.sha2(names.REFERENCE, 256))
        df = df.withColumn(names.REFERENCE_SHA256, hashed)
    if plan.engine == names.ONNXRUNTIME:
        return onnx_runtime.run_images(_placed(df, plan), graph, output, plan)
    scored = run(pack(df, plan), graph, output)
    slot = F.col(f"{ITEM}.{batching.SLOT}")
    exploded = scored.select(F.explode(ITEMS).alias(ITEM), OUTPUT)
    carried = [c for c in df.columns if c not in (names.IMAGE, names.REFERENCE)]
    return exploded.select(
        *(F.col(f"{ITEM}.{name}").alias(name) for name in carried),
        F.when(slot.isNotNull(), F.col(OUTPUT)[slot]).alias(output),
        F.col(f"{ITEM}.{names.REASON}").alias(names.REASON),
        F.col(f"{ITEM}.{names.DETAIL}").alias(names.DETAIL),
    )


def run(packed: DataFrame, graph: bytes, output: str) -> DataFrame:
    """Feed batches to SynapseML's ONNXModel; the answer is a column named ``OUTPUT``."""
    from synapse.ml.onnx import ONNXModel

    feeds = {name: name for name in packed.columns if name != ITEMS}
    model = ONNXModel().setModelPayload(graph).setDeviceType("CPU").setMiniBatchSize(1)
    model = model.setFeedDict(feeds).setFetchDict({OUTPUT: output})
    return model.transform(packed)  # type: ignore[no-any-return]


def pack(df: DataFrame, plan: InferencePlan) -> DataFrame:
    """Turn images into batches of packed pixels, those with one reference side by side.

    The hash of ``image_id`` decides the partition and the sort decides the batch, so that the same
    images make the same batches whatever the files they come from.
    """
    carried = [f for f in df.schema.fields if f.name not in (names.IMAGE, names.REFERENCE)]
    schema = _batch_schema(carried, difference=plan.reading.difference)
    return _placed(df, plan).mapInArrow(_packer(plan, schema), schema)


def _placed(df: DataFrame, plan: InferencePlan) -> DataFrame:
    order = [names.IMAGE_ID]
    if plan.reading.difference:
        order.insert(0, names.REFERENCE_SHA256)
    return df.repartition(plan.partitions, names.IMAGE_ID).sortWithinPartitions(*order)


def _batch_schema(carried: Sequence[t.StructField], *, difference: bool) -> t.StructType:
    item = t.StructType([
        *carried,
        t.StructField(batching.SLOT, t.IntegerType()),
        t.StructField(names.REASON, t.StringType()),
        t.StructField(names.DETAIL, t.StringType()),
    ])  # fmt: skip
    longs = t.ArrayType(t.LongType(), containsNull=False)
    fields = [
        t.StructField(ITEMS, t.ArrayType(item, containsNull=False)),
        t.StructField(batches.IMAGES, longs),
        t.StructField(batches.CHANNELS, longs),
    ]
    if difference:
        fields.append(t.StructField(batches.REFERENCES, longs))
        fields.append(t.StructField(batches.REFERENCE_INDEX, longs))
    return t.StructType(fields)


Packer = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def _packer(plan: InferencePlan, schema: t.StructType) -> Packer:
    items_type = to_arrow_type(schema[ITEMS].dataType)

    def pack_partition(record_batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows, inputs in batching.batched(record_batches, plan):
            columns = {ITEMS: pa.array([rows], type=items_type)}
            columns |= {name: _one_row(value) for name, value in inputs.items()}
            yield pa.RecordBatch.from_pydict(columns)

    return pack_partition


def _one_row(values: NDArray[np.int64]) -> pa.Array:
    """Turn int64 [1, n] into a column of one list."""
    return pa.ListArray.from_arrays(pa.array([0, values.size], type=pa.int32()), values[0])
