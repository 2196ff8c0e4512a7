"""Logging: one line an event, each with the run's id, so that a night can be grepped."""

from __future__ import annotations

import contextlib
import logging
import secrets
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FORMAT = "%(asctime)s %(levelname)s run={run_id} %(name)s: %(message)s"


def new_run_id() -> str:
    """Return a sortable id, e.g. ``20260222T031500Z-9f2c1a``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def configure(run_id: str, *, verbose: bool = False) -> None:
    """Send pcb_spark's log to stderr, each line marked with ``run_id``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT.format(run_id=run_id)))
    logger = logging.getLogger("pcb_spark")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


@contextlib.contextmanager
def progress(spark: SparkSession, what: str) -> Iterator[None]:
    """Show a bar of finished Spark tasks while the block runs; only on a terminal."""
    done = threading.Event()
    with tqdm(desc=what, unit="task", disable=None, leave=False) as bar:
        watcher = threading.Thread(target=_watch, args=(spark, bar, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _watch(spark: SparkSession, bar: tqdm[None], done: threading.Event) -> None:
    tracker = spark.sparkContext.statusTracker()
    while not done.wait(0.5):
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        bar.total = sum(stage.numTasks for stage in stages if stage) or None
        bar.n = sum(stage.numCompletedTasks for stage in stages if stage)
        bar.refresh()
