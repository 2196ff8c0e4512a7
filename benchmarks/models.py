"""The models that are measured, trained by the project's own jobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from benchmarks import data, packing
from pcb_spark.core import bundle
from pcb_spark.lake.catalogue import BUNDLE, IMAGES, VERDICTS
from pcb_spark.network import graphs
from pcb_spark.pipeline import run_featurize, run_train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.core.pairs import Reading

DEFAULT = "default"
ALONE = "default, no reference"
FULL = "full depth"
#: What ``backbone.precision = "auto"`` comes to on the project's own measurements.
SERVED = "int8"
PRECISIONS = ("fp32", SERVED)
#: What is set for a model besides the defaults.
SETTINGS: dict[str, tuple[str, ...]] = {
    DEFAULT: (),
    ALONE: ('features.reference="none"',),
    FULL: ('features.reference="none"', 'features.levels=["avgpool"]'),
}
#: Enough trees for graphs of the usual size; how well they judge doesn't matter here.
_QUICK_TRAINING = ("folds.n=1", "policy.bootstrap_resamples=20", "classifier.min_data_in_leaf=2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained bundle in ``folder``, and the graph that scores by it."""

    name: str
    precision: str
    folder: Path
    reading: Reading
    graph: onnx.ModelProto

    @property
    def one_thread(self) -> bytes:
        """The graph as one task of Spark runs it."""
        content: bytes = graphs.with_threads(self.graph, 1).SerializeToString()
        return content

    def layout(self, batch_size: int) -> packing.Layout:
        """Return what its batches are like where they hold so many images."""
        return packing.Layout(batch_size=batch_size, reading=self.reading)


def folder_name(name: str, precision: str) -> str:
    """Return the name of the folder that this model is in."""
    return f"model-{name}-{precision}".replace(",", "").replace(" ", "-")


def settings(name: str, precision: str) -> tuple[str, ...]:
    """Return the overrides that make this model."""
    return (*SETTINGS[name], f'backbone.precision="{precision}"')


def train(
    spark: SparkSession, source: data.Source, work: Path, *, name: str, precision: str
) -> Model:
    """Featurize and train on the images in ``work/train``; the bundle stays in ``work``."""
    folder = work / folder_name(name, precision)
    parts = [(IMAGES, work / "train" / IMAGES), (VERDICTS, work / "base" / VERDICTS)]
    data.linked(folder, parts)
    chosen = settings(name, precision)
    job = data.job_in(spark, folder, source, *chosen, *_QUICK_TRAINING)
    run_featurize(job)
    run_train(job)
    return trained(work, name=name, precision=precision)


def trained(work: Path, *, name: str, precision: str) -> Model:
    """Read a model that ``train`` has left in ``work``."""
    folder = work / folder_name(name, precision)
    made = bundle.read(folder / BUNDLE)
    return Model(
        name=name,
        precision=precision,
        folder=folder,
        reading=made.manifest.reading,
        graph=onnx.load_from_string(made.parts[bundle.GRAPH]),
    )
