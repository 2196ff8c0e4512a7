"""LightGBM on Spark against LightGBM by itself on the same matrix, and its trees in ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks import packing, rows, ways
from pcb_spark.core import batches, names
from pcb_spark.lake import session
from pcb_spark.learning import examples, lightgbm_on_driver, lightgbm_on_spark
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.network import graphs, trees

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

#: F of the default model: excess and lack of layer1.
WIDTH = 512
_BATCH = 8
ON_SPARK, ALONE = "LightGBM on Spark", "lightgbm alone"


def measure(spark: SparkSession, *, n: int, repeats: int) -> list[rows.Row]:
    """Fit both on a seeded matrix, in turn, and run the trees of the last fit."""
    features, labels = _matrix(n)
    table = _table(spark, features, labels)
    config = ClassifierConfig().for_reference_mode(difference=True)
    slots = session.task_slots(spark)

    def natively() -> object:
        return lightgbm_on_driver.fit(features, labels == 1, config, seed=0, threads=slots)

    def on_spark() -> Any:
        return lightgbm_on_spark.fit(table, config, seed=0)

    text = on_spark().getNativeModel()
    took: dict[str, list[float]] = {ON_SPARK: [], ALONE: []}
    for _ in range(repeats):
        took[ON_SPARK].append(ways.seconds(on_spark))
        took[ALONE].append(ways.seconds(natively))
    table.unpersist()
    found = [_row(way, "fit", n, took[way], repeats) for way in took]
    return [*found, _tree_row(text, features, repeats)]


def _matrix(n: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    rng = np.random.default_rng(0)
    features = rng.random((n, WIDTH), dtype=np.float32)
    noise = rng.normal(0, 0.5, n)
    labels = (features[:, :20].sum(1) + noise > 11).astype(np.int32)
    return features, labels


def _table(
    spark: SparkSession, features: NDArray[np.float32], labels: NDArray[np.int32]
) -> DataFrame:
    frame = pd.DataFrame({
        names.IMAGE_ID: [f"{i:08d}" for i in range(len(labels))],
        examples.LABEL: labels,
        names.FEATURES: features.tolist(),
    })  # fmt: skip
    schema = f"{names.IMAGE_ID} string, {examples.LABEL} int, {names.FEATURES} array<float>"
    table = spark.createDataFrame(frame.to_dict("records"), schema)
    table = table.repartition(session.task_slots(spark), names.IMAGE_ID).persist()
    table.count()
    return table


def _tree_row(text: str, features: NDArray[np.float32], repeats: int) -> rows.Row:
    graph = graphs.with_threads(graphs.classifier_graph(trees.convert(text, WIDTH), WIDTH), 1)
    own = packing.one_thread_session(graph.SerializeToString())
    starts = range(0, len(features) - _BATCH + 1, _BATCH)
    feeds = [{batches.FEATURES: features[np.newaxis, i : i + _BATCH]} for i in starts]
    took = [ways.seconds(lambda: ways.run_turns(own, feeds, len(feeds))) for _ in range(repeats)]
    return _row("one core, Python", "trees", len(feeds) * _BATCH, took, repeats)


def _row(way: str, stage: str, n: int, took: list[float], repeats: int) -> rows.Row:
    middle = rows.median(took) or float("nan")
    return rows.Row(
        way=way,
        stage=stage,
        images_per_s=n / middle,
        seconds=middle,
        n=n,
        repeats=repeats,
        spread=rows.spread(took),
        note=f"{WIDTH} features",
    )
