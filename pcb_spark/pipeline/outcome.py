"""How a command ended, for machines: one line in the log, and figures for Prometheus."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.core.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)


def tell(job: str, code: int, began: float, textfile: Path | None = None) -> int:
    """Log it, and write the file of node_exporter's textfile collector, where one is named.

    Parameters
    ----------
    began : ``time.monotonic`` then.

    Returns
    -------
    The exit code, 2 where all went well but that this file can't be written.
    """
    seconds = time.monotonic() - began
    log.info("%s ended: exit code %d, %.1f s", job, code, seconds)
    if textfile is None:
        return code
    from prometheus_client import write_to_textfile

    try:
        write_to_textfile(str(textfile), _figures(job, code, seconds))
    except OSError as error:
        log.error("--textfile %s can't be written: %s", textfile, error.strerror)
        return code or ConfigError.exit_code
    return code


def _figures(job: str, code: int, seconds: float) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    found = {
        "exit_code": ("Exit code of the last run", code),
        "seconds": ("How long the last run took", seconds),
        "ended_timestamp_seconds": ("When the last run ended", time.time()),
    }
    for name, (text, value) in found.items():
        gauge = Gauge(f"pcb_spark_run_{name}", text, ["job"], registry=registry)
        gauge.labels(job).set(value)
    return registry
