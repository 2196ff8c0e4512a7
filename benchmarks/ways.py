"""From file bytes to a probability in Parquet: the limit, and this project.

A *way* gives the seconds of one round. Those on Spark run over two sizes of table, and the rate is
that of the images that the larger one has more (see ``rounds``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import data, packing
from benchmarks.rounds import Round
from pcb_spark.core import batches, names
from pcb_spark.lake import session
from pcb_spark.lake.catalogue import BUNDLE, IMAGES
from pcb_spark.pipeline import run_score

if TYPE_CHECKING:
    import onnxruntime as ort
    from pyspark.sql import DataFrame, SparkSession

    from benchmarks.models import Model

LIMIT = "onnxruntime alone"
OURS = "pcb_spark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of scoring, of ``n`` images; ``measure`` is one round."""

    name: str
    model: str
    precision: str
    n: int
    measure: Callable[[], Round]
    warm_up: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Two sizes of ``images`` tables in ``folders``, and a folder to write to."""

    spark: SparkSession
    source: data.Source
    folders: Mapping[int, Path]
    scratch: Path

    @property
    def small(self) -> int:
        """Return the number of images in the smaller table."""
        return min(self.folders)

    @property
    def large(self) -> int:
        """Return the number of images in the larger table."""
        return max(self.folders)

    @property
    def slots(self) -> int:
        """Return how many tasks run side by side."""
        return session.task_slots(self.spark)

    @property
    def batch_size(self) -> int:
        """Return the number of images in a batch of this project."""
        job = data.job_in(self.spark, self.scratch, self.source)
        return job.plan(self.large).batch_size

    def images(self, n: int) -> DataFrame:
        """Read the table with ``n`` images."""
        return data.images(self.spark, self.folders[n])


def measure(tables: Tables, run: Callable[[int], object]) -> Round:
    """Run over the smaller table, then over the larger one."""
    small, large = (seconds(lambda n=n: run(n)) for n in (tables.small, tables.large))  # type: ignore[misc]
    return Round(images=tables.large - tables.small, small=small, large=large)


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def on_spark(name: str, model: Model, tables: Tables, run: Callable[[int], object]) -> Way:
    """Return a way whose ``run`` scores the table with so many images."""
    return Way(
        name=name,
        model=model.name,
        precision=model.precision,
        n=tables.large - tables.small,
        measure=lambda: measure(tables, run),
        warm_up=lambda: run(tables.large),
    )


def limit(model: Model, tables: Tables, samples: Sequence[packing.Sample]) -> Way:
    """Onnxruntime alone: a session of one thread for each task slot, over packed batches."""
    kept = samples[: max(1, len(samples) // tables.batch_size) * tables.batch_size]
    feeds = list(packing.feeds(kept, model.layout(tables.batch_size)))
    a_batch = len(kept) / len(feeds)
    sessions = [packing.one_thread_session(model.one_thread) for _ in range(tables.slots)]
    n = tables.large - tables.small
    turns = max(1, round(n / a_batch / len(sessions)))

    def run(turns: int = turns) -> Round:
        with ThreadPoolExecutor(len(sessions)) as pool:
            took = seconds(lambda: list(pool.map(lambda s: run_turns(s, feeds, turns), sessions)))
        return Round(images=turns * len(sessions) * a_batch, large=took)

    return Way(
        name=LIMIT,
        model=model.name,
        precision=model.precision,
        n=n,
        measure=run,
        warm_up=lambda: run(2),
    )


def run_turns(own: ort.InferenceSession, feeds: Iterable[packing.Feed], turns: int) -> None:
    """Run ``turns`` batches, from the first one on again after the last."""
    for feed in islice(cycle(feeds), turns):
        own.run([batches.PROBABILITY], feed)


def ours(model: Model, tables: Tables, engine: str = names.SYNAPSEML) -> Way:
    """Measure the score job as it is: tables in, tables and books out."""
    setting = f'inference.engine="{engine}"'

    def run(n: int) -> None:
        parts = [(IMAGES, tables.folders[n] / IMAGES), (BUNDLE, model.folder / BUNDLE)]
        folder = data.linked(tables.scratch / f"{model.folder.name}-{n}", parts)
        run_score(data.job_in(tables.spark, folder, tables.source, setting))

    name = OURS if engine == names.SYNAPSEML else f"{OURS}, {engine}"
    return on_spark(name, model, tables, run)
