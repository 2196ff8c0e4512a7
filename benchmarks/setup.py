"""What all parts share: sizes, tables and trained models, made once into ``out/work``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from benchmarks import data, models, packing, rows, ways
from pcb_spark.core import names
from pcb_spark.pipeline import run_ingest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("benchmarks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured; in component images but ``repeats``."""

    small: int
    large: int
    #: In place of ``large`` where the default model is scored: it is fast, and what a run costs
    #: once, whatever its size, varies by as much as some hundred images of it.
    longest: int
    train: int
    repeats: int
    #: The smallest of the runs that show growth; the others have 4 and 16 times as many.
    growth: int
    #: Camera files of 12 megapixels.
    camera: int
    #: Whether everything is measured, or what takes minutes.
    complete: bool
    #: Rows of the matrix that LightGBM is fitted to.
    fit: int
    #: Names of the models that are measured.
    models: tuple[str, ...]


#: Tables that are large enough for a rate at all: full depth in int8 scores 120 images a second on
#: two cores, and what a run costs once varies by some tenths of a second.
QUICK = Size(
    small=64, large=320, longest=640, train=128, repeats=2, growth=32, camera=16, fit=1000,
    complete=False, models=(models.DEFAULT, models.FULL),
)  # fmt: skip
COMPLETE = Size(
    small=64, large=448, longest=1600, train=128, repeats=3, growth=64, camera=32, fit=4000,
    complete=True, models=tuple(models.SETTINGS),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be measured on what; ``out`` gets the figures, ``work`` below it the tables."""

    source: data.Source
    out: Path
    size: Size

    @property
    def work(self) -> Path:
        """Return the folder of tables and models."""
        return self.out / "work"

    @property
    def ray(self) -> Path:
        """Return the Python that has Ray, where ``make bench`` has made one."""
        return self.out / "venv-ray" / "bin" / "python"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Tables, models by name and precision, and samples in memory.

    ``long_tables`` are those that the default model scores.
    """

    tables: ways.Tables
    long_tables: ways.Tables
    models: Mapping[tuple[str, str], models.Model]

    @cached_property
    def samples(self) -> Sequence[packing.Sample]:
        """The files of the smaller table's images."""
        picked = (
            self.tables.images(self.tables.small).select(names.IMAGE, names.REFERENCE).collect()
        )
        return [packing.Sample(bytes(row[0]), row[1] and bytes(row[1])) for row in picked]


def ingest(spark: SparkSession, task: Task) -> rows.Row:
    """Make the drop and ingest it, each time into tables of their own."""
    n, repeats = task.size.large, task.size.repeats
    volume = data.sample_drop(task.source, task.work / "drop", n)
    drop = f"paths.drop='{task.work / 'drop'}'"
    folders = ["base", *(f"ingest-{turn}" for turn in range(repeats))]
    jobs = [data.job_in(spark, task.work / folder, task.source, drop) for folder in folders]
    run_ingest(jobs[0])  # warm-up
    took = [ways.seconds(lambda job=job: run_ingest(job)) for job in jobs[1:]]  # type: ignore[misc]
    middle = rows.median(took) or float("nan")
    return rows.Row(
        way=ways.OURS,
        stage="ingest",
        images_per_s=n / middle,
        megabytes=volume / 1e6 / middle,
        seconds=middle,
        n=n,
        repeats=repeats,
        spread=rows.spread(took),
        note="MB a second, of files; the whole job, no steady state",
    )


def prepare(spark: SparkSession, task: Task) -> Bench:
    """Write tables of both sizes and train the models on some of the images."""
    base = data.alike(data.images(spark, task.work / "base"))
    data.write(base.orderBy(F.rand(0)).limit(task.size.train), task.work / "train")
    for n in (task.size.small, task.size.large, task.size.longest):
        data.write(data.resized(base, n), task.work / str(n))
    made = {}
    for name in task.size.models:
        for precision in models.PRECISIONS:
            log.info("train the model %s, %s", name, precision)
            made[name, precision] = models.train(
                spark, task.source, task.work, name=name, precision=precision
            )
    return Bench(
        tables=_tables(spark, task, task.size.large),
        long_tables=_tables(spark, task, task.size.longest),
        models=made,
    )


def _tables(spark: SparkSession, task: Task, large: int) -> ways.Tables:
    folders = {n: task.work / str(n) for n in (task.size.small, large)}
    scratch = task.work / "scratch"
    return ways.Tables(spark=spark, source=task.source, folders=folders, scratch=scratch)
