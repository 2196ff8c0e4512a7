"""The parts of a benchmark, and the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import (
    compare,
    data,
    fits,
    growth,
    models,
    peers,
    rows,
    setup,
    sharing,
    stages,
    ways,
)
from pcb_spark.core import names
from pcb_spark.lake import session
from pcb_spark.pipeline.job import load_backbone

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from benchmarks.setup import Bench, Task


def throughput(task: Task) -> list[rows.Row]:
    """Ingest, the ways against one another, the stages of ours, and LightGBM, in one session."""
    with _session(task) as spark:
        ingested = setup.ingest(spark, task)
        bench = setup.prepare(spark, task)
        compared = compare.compare(_ways(bench, task), task.size.repeats)
        staged = stages.measure(bench.tables, bench.models, bench.samples)
        written = stages.write(bench.tables, bench.models[models.DEFAULT, "fp32"])
        fitted = fits.measure(spark, n=task.size.fit, repeats=task.size.repeats)
        growth.write_tables(spark, task)
        shared = sharing.measure(bench, task.size.repeats) if task.size.complete else []
    return [ingested, *compared, *staged, written, *fitted, *shared]


def _ways(bench: Bench, task: Task) -> list[ways.Way]:
    found = []
    for model in bench.models.values():
        default = model.name == models.DEFAULT
        tables = bench.long_tables if default else bench.tables
        found += [ways.limit(model, tables, bench.samples), ways.ours(model, tables)]
        found.append(ways.ours(model, tables, names.ONNXRUNTIME))
        if default or (task.size.complete and model.name == models.FULL):
            found.append(peers.map_in_arrow(model, tables))
        if default and task.size.complete and task.ray.exists():
            found.append(peers.ray_data(model, tables, task.ray))
    plain = bench.models[models.FULL, "fp32"]
    job = data.job_in(bench.tables.spark, bench.tables.scratch, bench.tables.source)
    found.append(peers.textbook(plain, bench.tables, load_backbone(job.config)))
    return found


@contextmanager
def _session(task: Task) -> Iterator[SparkSession]:
    spark = session.get(data.configure(task.work, task.source), app_name="benchmarks", lasts=True)
    try:
        yield spark
    finally:
        session.stop(spark)


#: Measurements by name, in the order in which they run.
PARTS: dict[str, Callable[[Task], list[rows.Row]]] = {
    "throughput": throughput,
    "start_up": growth.start_up,
    "growth": growth.growth,
    "executors": growth.executors,
    "camera": growth.camera,
}
#: Those that ``--quick`` leaves out.
LONG = ("growth", "executors", "camera")


#: What the figures are good for.
LOWER_BOUNDS = (
    "Rates of a quick run are lower bounds: they are those of some hundred images, during which "
    "Java still compiles and of which one core gets several per cent more than its share. They are "
    "for whoever compares two versions of the code on one machine, or scores some hundred images a "
    "run. How long a night of thousands takes, and what share of the limit is reached, "
    "`make bench` without QUICK tells."
)


def report(found: Sequence[rows.Row], task: Task) -> str:
    """Return the figures as Markdown: the ways first, then the stages."""
    scores = [row for row in found if row.stage == rows.SCORE]
    others = [row for row in found if row.stage != rows.SCORE]
    tables = [rows.markdown(each) for each in (scores, others) if each]
    known = [f"{rows.machine()}; {task.source.described}"]
    if not task.size.complete:
        known.append(LOWER_BOUNDS)
    return "\n\n".join([*known, *tables]) + "\n"
