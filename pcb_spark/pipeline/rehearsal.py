"""A step of each kind that jobs are made of, on a few rows: what ``class_archive`` is made from."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import TensorProto, helper
from pyspark import SparkContext
from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import session
from pcb_spark.learning import examples, lightgbm_on_spark
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.network import inference
from pcb_spark.network.nodes import NodeBuilder, checked_model
from pcb_spark.pipeline import config

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_ROWS, _DAYS, _WIDTH = 400, 4, 4


def rehearse(spark: SparkSession, folder: Path) -> None:
    """Write, read, shuffle, join and rank rows, send them through Python, ONNX and LightGBM."""
    places = {name: str(folder / name) for name in ("rows", "sums", "ones")}
    rows = _rows(spark)
    by_day = rows.repartition("day").sortWithinPartitions("day")
    by_day.write.partitionBy("day").parquet(places["rows"])
    read = spark.read.schema(rows.schema).parquet(places["rows"])
    read.count()
    summed = inference.run(_packed(read), _summing_graph(), "sum")
    item_of, total = F.col(inference.ITEMS)[0], F.explode(inference.OUTPUT)
    summed.select(item_of["id"].alias("id"), total.alias("sum")).write.parquet(places["sums"])
    sums = spark.read.parquet(places["sums"])
    last = F.max("at").over(Window.partitionBy("day"))
    sums.join(read, "id").withColumn("last", last).groupBy("day").agg(F.max("last")).toPandas()
    one = spark.createDataFrame([(1, "one")], "number int, name string")
    one.coalesce(1).write.mode("append").parquet(places["ones"])
    _fit(read)


def _rows(spark: SparkSession) -> DataFrame:
    return spark.range(_ROWS).select(
        "id",
        F.expr(f"date_add(date'2026-01-01', cast(id % {_DAYS} as int))").alias("day"),
        F.current_timestamp().alias("at"),
        F.expr(f"transform(sequence(1, {_WIDTH}), i -> cast(hash(id, i) as float))").alias(
            "values"
        ),
        (F.col("id") % 2).cast("int").alias("label"),
    )


def _packed(read: DataFrame) -> DataFrame:
    def same(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    item = F.array(F.struct("id")).alias(inference.ITEMS)
    sent = read.repartition(2, "id").sortWithinPartitions("id")
    packed = sent.select(item, F.array("values").alias("values"))
    return packed.mapInArrow(same, packed.schema)


def _summing_graph() -> bytes:
    b = NodeBuilder()
    b.add("ReduceSum", ["values", b.ints("last", 2)], "sum", keepdims=0)
    values = helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N", 1, _WIDTH])
    total = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 1])
    graph = helper.make_graph(b.nodes, "rehearsal", [values], [total], b.initializers)
    serialized: bytes = checked_model(graph).SerializeToString()
    return serialized


def _fit(read: DataFrame) -> None:
    rows = read.select(
        F.col("id").cast("string").alias(names.IMAGE_ID),
        F.col("values").alias(names.FEATURES),
        F.col("label").alias(examples.LABEL),
    )
    settings = ClassifierConfig(num_iterations=2).for_reference_mode(difference=True)
    fitted = lightgbm_on_spark.fit_whole(rows, settings, seed=0)
    lightgbm_on_spark.predict(fitted, rows).count()


def main() -> None:
    """Rehearse, and wait for the JVM's end: only then has it written what it was asked to."""
    spark = session.get(config.load(None, []), app_name="rehearsal")
    with tempfile.TemporaryDirectory() as scratch:
        rehearse(spark, Path(scratch))
    session.stop(spark)
    jvm = SparkContext._gateway.proc  # type: ignore[union-attr]
    jvm.stdin.close()
    sys.exit(jvm.wait())


if __name__ == "__main__":
    main()
