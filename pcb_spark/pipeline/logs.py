"""Logging: one line an event with the run's id, so that a night can be grepped; no secrets."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tqdm import tqdm

from pcb_spark.lake import stores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

_BAR_SECONDS = 0.5
_LOG_SECONDS = 30.0
_FORMAT = "%(asctime)s %(levelname)s run={run_id} %(name)s: %(message)s"


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return stores.redacted(super().format(record))


class _Json(logging.Formatter):
    """A line of JSON an event."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "run": self._run_id,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: stores.redacted(text) for name, text in told.items()})


def new_run_id() -> str:
    """Return a sortable id, e.g. ``20260222T031500Z-9f2c1a``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def configure(run_id: str, *, verbose: bool = False, as_json: bool = False) -> None:
    """Send pcb_spark's log to stderr, each line marked with ``run_id``."""
    handler = logging.StreamHandler(sys.stderr)
    text = _Redacting(_FORMAT.format(run_id=run_id))
    handler.setFormatter(_Json(run_id) if as_json else text)
    logger = logging.getLogger("pcb_spark")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


@contextlib.contextmanager
def progress(spark: SparkSession, what: str) -> Iterator[None]:
    """Show how many Spark tasks are done: a bar on a terminal, else a log line every 30 s."""
    done = threading.Event()
    with tqdm(desc=what, unit="task", disable=None, leave=False) as bar:
        watcher = threading.Thread(target=_watch, args=(spark, bar, what, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _watch(spark: SparkSession, bar: tqdm[None], what: str, done: threading.Event) -> None:
    tracker = spark.sparkContext.statusTracker()
    while not done.wait(_LOG_SECONDS if bar.disable else _BAR_SECONDS):
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        total = sum(stage.numTasks for stage in stages if stage)
        completed = sum(stage.numCompletedTasks for stage in stages if stage)
        if bar.disable:
            log.info("%s: %d of %d tasks of the current step done", what, completed, total)
        else:
            bar.total, bar.n = total or None, completed
            bar.refresh()
