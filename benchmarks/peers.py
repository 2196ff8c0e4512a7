"""What others would use for the same work."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper
from pyspark.sql import functions as F
from pyspark.sql import types as t

from benchmarks import packing
from benchmarks.rounds import Round
from benchmarks.ways import Tables, Way, on_spark
from pcb_spark.core import batches, names
from pcb_spark.lake.catalogue import IMAGES
from pcb_spark.network import backbone, resnet50

if TYPE_CHECKING:
    from benchmarks.models import Model

MAP_IN_ARROW = "mapInArrow"
TEXTBOOK = "textbook SynapseML"
RAY = "Ray Data"

_SCORED = t.StructType([
    t.StructField(names.IMAGE_ID, t.StringType()),
    t.StructField(names.PROBABILITY, t.FloatType()),
])  # fmt: skip


def map_in_arrow(model: Model, tables: Tables) -> Way:
    """Spark's mapInArrow with onnxruntime in the Python worker: same graph, decoder and batches."""
    graph = tables.spark.sparkContext.broadcast(model.one_thread)
    layout = model.layout(tables.batch_size)

    def score(record_batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        own = packing.one_thread_session(graph.value)
        for records in record_batches:
            rows = records.to_pylist()
            samples = [packing.Sample(row[names.IMAGE], row.get(names.REFERENCE)) for row in rows]
            found = [
                own.run([batches.PROBABILITY], feed)[0][0]
                for feed in packing.feeds(samples, layout)
            ]
            columns = {
                names.IMAGE_ID: pa.array([row[names.IMAGE_ID] for row in rows]),
                names.PROBABILITY: pa.array(np.concatenate(found), pa.float32()),
            }
            yield pa.RecordBatch.from_pydict(columns)

    def run(n: int) -> None:
        columns = [
            names.IMAGE_ID,
            names.IMAGE,
            *([names.REFERENCE] if model.reading.difference else []),
        ]
        placed = tables.images(n).select(columns).repartition(tables.slots, names.IMAGE_ID)
        scored = placed.mapInArrow(score, _SCORED)
        scored.write.mode("overwrite").parquet(str(tables.scratch / "map_in_arrow"))

    return on_spark(MAP_IN_ARROW, model, tables, run)


def textbook(model: Model, tables: Tables, source: backbone.Backbone) -> Way:
    """SynapseML as its guide shows it: ImageTransformer, arrays of floats, ONNXModel, avgpool."""
    from synapse.ml.onnx import ONNXModel

    network = ONNXModel().setModelPayload(average_pooled(source).SerializeToString())
    network = network.setDeviceType("CPU").setMiniBatchSize(tables.batch_size)
    network = network.setFeedDict({resnet50.INPUT: "tensor"}).setFetchDict({"pooled": "pooled"})

    def run(n: int) -> None:
        placed = tables.images(n).select(names.IMAGE_ID, names.IMAGE)
        tensors = _image_transformer().transform(placed.repartition(tables.slots, names.IMAGE_ID))
        pooled = network.transform(tensors.select(names.IMAGE_ID, "tensor"))
        kept = pooled.select(names.IMAGE_ID, F.col("pooled"))
        kept.write.mode("overwrite").parquet(str(tables.scratch / "textbook"))

    return on_spark(TEXTBOOK, model, tables, run)


def average_pooled(source: backbone.Backbone) -> onnx.ModelProto:
    """ResNet-50 without its last layer, from ``data`` to ``pooled`` [N, 2048]."""
    model = backbone.cut(source, ["layer4"])
    model.graph.node.extend([
        helper.make_node("GlobalAveragePool", ["layer4"], ["averages"], "averages"),
        helper.make_node("Flatten", ["averages"], ["pooled"], "pooled"),
    ])  # fmt: skip
    del model.graph.output[:]
    pooled = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["N", 2048])
    model.graph.output.append(pooled)
    return model


def _image_transformer() -> Any:
    from synapse.ml.opencv import ImageTransformer

    transformer = ImageTransformer(inputCol=names.IMAGE, outputCol="tensor").resize((224, 224))
    return (
        transformer.setToTensor(True)
        .setNormalizeMean(list(resnet50.MEAN))
        .setNormalizeStd(list(resnet50.STD))
        .setColorScaleFactor(1 / 255)
        .setTensorElementType(t.FloatType())
        .setTensorChannelOrder("RGB")
        .setAutoConvertToColor(True)
    )


def ray_data(model: Model, tables: Tables, python: Path) -> Way:
    """Ray Data: an actor of one thread for each task slot; same graph, decoder and batches."""

    def measure() -> Round:
        folders = [tables.folders[n] / IMAGES for n in (tables.small, tables.large)]
        small, large = run_ray(
            model, folders, python=python, actors=tables.slots, batch_size=tables.batch_size,
            scratch=tables.scratch,
        )  # fmt: skip
        return Round(images=tables.large - tables.small, small=small, large=large)

    return Way(
        name=RAY,
        model=model.name,
        precision=model.precision,
        n=tables.large - tables.small,
        measure=measure,
        warm_up=lambda: None,
    )


def run_ray(
    model: Model,
    folders: Sequence[Path],
    *,
    python: Path,
    actors: int,
    batch_size: int,
    scratch: Path,
) -> list[float]:
    """Score folders of Parquet one after another: the seconds of each, without Ray's own start.

    Ray starts anew with each call, its actors for each folder.
    """
    graph = scratch / "graph.onnx"
    graph.parent.mkdir(parents=True, exist_ok=True)
    graph.write_bytes(model.one_thread)
    words = [
        graph.resolve(),
        actors,
        model.layout(batch_size).to_json(),
        (scratch / "ray").resolve(),
        *(folder.resolve() for folder in folders),
    ]
    command = [str(python), "-m", "benchmarks.ray_data", *map(str, words)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment, timeout=900
    )
    took: list[float] = json.loads(done.stdout.splitlines()[-1])
    return took
