"""Runs in processes of their own: start-up, cost against size, executors, camera-sized files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark

from benchmarks import child, data, models, peers, rows, ways
from pcb_spark.lake.catalogue import BUNDLE, IMAGES
from pcb_spark.network import inference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from benchmarks.setup import Task

_FACTORS = (1, 4, 16)
_MEGAPIXELS = 12
_DISTINCT_FILES = 8
#: Starts that are timed, after one that brings jars and classes into the machine's memory: the
#: median of two would hold half of what that costs, on a machine where nothing ran before.
_STARTS = 2
#: A Spark standalone master and workers in the driver's JVM, executors in processes of their own.
_CLUSTER = "spark.master='local-cluster[{executors},1,{megabytes}]'"
_EXECUTOR_MB = 2048
#: Where such workers leave logs and a copy of every jar for each executor that they had.
_WORKER_FILES = Path(pyspark.__file__).with_name("work")


def write_tables(spark: SparkSession, task: Task) -> None:
    """Write the ``images`` tables that the runs below score."""
    base = data.alike(data.images(spark, task.work / "base"))
    data.write(base.limit(1), _table(task, "one"))
    if not task.size.complete:
        return
    for factor in _FACTORS:
        data.write(data.resized(base, factor * task.size.growth), _table(task, f"x{factor}"))
    few = data.resized(base, 4 * task.size.camera)
    big = data.camera_sized(few, megapixels=_MEGAPIXELS, distinct=_DISTINCT_FILES)
    data.write(big, _table(task, "camera-x4"))
    data.write(big.limit(task.size.camera), _table(task, "camera-x1"))


def start_up(task: Task) -> list[rows.Row]:
    """From the command to the session, and to the first image's score in Parquet.

    The first start of all isn't counted; its seconds stand in the note.
    """
    folder = _folder(task, "one")
    first = child.score(folder, task.source)
    runs = [child.score(folder, task.source) for _ in range(_STARTS)]
    ready, scored = [run.ready for run in runs], [run.scored for run in runs]
    commands = [_time_command(folder, task.source) for _ in range(_STARTS)]
    figures = (
        ("start-up: session ready", ready, f"first start of all {first.ready:.1f} s"),
        ("start-up: first image scored", scored, f"first start of all {first.scored:.1f} s"),
        ("start-up: whole `pcb-spark score` of one image", commands, ""),
    )
    return [
        rows.Row(
            way=ways.OURS, stage=stage, model=models.DEFAULT, precision=models.SERVED,
            seconds=rows.median(took), n=1, repeats=_STARTS, spread=rows.spread(took), note=note,
        )
        for stage, took, note in figures
    ]  # fmt: skip


def _time_command(folder: Path, source: data.Source) -> float:
    command = [str(Path(sys.executable).with_name("pcb-spark")), "score"]
    settings = [f"paths.out='{folder}'", "scoring.reuse_features=false", *source.overrides]
    words = [*command, *(word for setting in settings for word in ("--set", setting))]
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - began


def growth(task: Task) -> list[rows.Row]:
    """1, 4 and 16 times as many images, each in a fresh process, all cores.

    The largest run is given once more from its command on, beside Ray Data's.
    """
    found = []
    for factor in _FACTORS:
        table, n = f"x{factor}", factor * task.size.growth
        run = child.score(_folder(task, table), task.source)
        found.append(_row(run, f"growth: {factor} x", n))
    found.append(_whole_run(ways.OURS, n, run.scored))
    if task.ray.exists():
        found.append(_whole_run(peers.RAY, n, _time_ray(task, table)))
    return found


def _whole_run(way: str, n: int, seconds: float) -> rows.Row:
    return rows.Row(
        way=way, stage="whole run, start-up included", model=models.DEFAULT,
        precision=models.SERVED, images_per_s=n / seconds, seconds=seconds, n=n, repeats=1,
    )  # fmt: skip


def _time_ray(task: Task, table: str) -> float:
    model = models.trained(task.work, name=models.DEFAULT, precision=models.SERVED)
    began = time.perf_counter()
    peers.run_ray(
        model, [_table(task, table) / IMAGES], python=task.ray, actors=os.cpu_count() or 1,
        batch_size=inference.DEFAULT_BATCH_SIZE, scratch=task.work / "scratch",
    )  # fmt: skip
    return time.perf_counter() - began


def executors(task: Task) -> list[rows.Row]:
    """The largest of these on one executor of one core, and on two."""
    factor = _FACTORS[-1]
    n = factor * task.size.growth
    return [
        _row(_on_cluster(task, f"x{factor}", count), f"executors of one core: {count}", n)
        for count in (1, 2)
    ]


def camera(task: Task) -> list[rows.Row]:
    """JPEGs of 12 megapixels, image and reference, on one executor of one core."""
    return [
        _row(
            _on_cluster(task, f"camera-x{factor}", 1), f"{_MEGAPIXELS} MP files: {factor} x",
            factor * task.size.camera,
        )
        for factor in (1, 4)
    ]  # fmt: skip


def _on_cluster(task: Task, table: str, executors: int) -> child.Run:
    master = _CLUSTER.format(executors=executors, megabytes=_EXECUTOR_MB)
    memory = f'spark.conf={{"spark.executor.memory"="{_EXECUTOR_MB}m"}}'
    run = child.score(_folder(task, table), task.source, master, memory)
    shutil.rmtree(_WORKER_FILES, ignore_errors=True)
    return run


def _row(run: child.Run, stage: str, n: int) -> rows.Row:
    peak = run.peak
    parts = f"JVMs {peak.java:,.0f} MB, Python {peak.python:,.0f} MB"
    executor = f", largest executor with its Python {peak.executor:,.0f} MB"
    return rows.Row(
        way=ways.OURS,
        stage=stage,
        model=models.DEFAULT,
        precision=models.SERVED,
        images_per_s=n / run.job,
        seconds=run.job,
        megabytes=peak.total,
        n=n,
        note=parts + executor * bool(peak.executor),
    )


def _table(task: Task, name: str) -> Path:
    return task.work / f"table-{name}"


def _folder(task: Task, name: str) -> Path:
    model = task.work / models.folder_name(models.DEFAULT, models.SERVED)
    parts = [(IMAGES, _table(task, name) / IMAGES), (BUNDLE, model / BUNDLE)]
    return data.linked(task.work / f"run-{name}", parts)
