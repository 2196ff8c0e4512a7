"""What every job shares: its session, its tables, and its books."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyspark.sql import functions as F

import pcb_spark
from pcb_spark.core import names
from pcb_spark.core.errors import AccountingError
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import REJECTS, RUNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from pcb_spark.lake.leases import Lease

log = logging.getLogger(__name__)

_LIBRARIES = (
    "pyspark", "synapseml", "petastorm", "onnx", "onnxmltools", "onnxruntime", "lightgbm", "pillow",
)  # fmt: skip


class Run(Protocol):
    """What the rooms need to know of the run that they work in; ``pipeline.job.Job`` is one."""

    @property
    def spark(self) -> SparkSession:
        """The session."""
        ...

    @property
    def run_id(self) -> str:
        """Sorts by time; marks every row and log line of the run."""
        ...

    @property
    def lease(self) -> Lease | None:
        """What keeps others off the tables; a notebook's or a test's run goes without."""
        ...

    @property
    def started_at(self) -> datetime:
        """When the run began, UTC."""
        ...

    @property
    def notes(self) -> list[str]:
        """Lines for the summary, of what no table counts."""
        ...

    @property
    def out(self) -> str:
        """Where the tables are, any URI that Hadoop can open."""
        ...

    @property
    def config_sha256(self) -> str:
        """Identifies the configuration."""
        ...

    def table(self, name: str) -> str:
        """Return the URI of a table of this run's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A job's books for one kind of row."""

    rows_in: int
    rows_out: int
    rows_rejected: int


def writing(run: Run) -> contextlib.AbstractContextManager[None]:
    """Turn a failure inside Spark into one error that names the tables.

    Raises
    ------
    InputError : others took this job for dead.
    """
    if run.lease is not None:
        run.lease.require()
    return tables.spark_failures(
        f"the tables in {run.out} can't be written",
        hint="start the job again; if it says the same, --verbose shows the whole failure",
    )


def close_books(
    run: Run, name: str, counts: Mapping[str, Counts], inputs: str, began: float
) -> None:
    """Append a row to ``runs`` for each kind of row and check that none got lost.

    Raises
    ------
    AccountingError : rows in are not rows out plus rejects.
    """
    seconds = time.monotonic() - began
    started_at = datetime.now(UTC) - timedelta(seconds=seconds)
    rows = [
        (
            run.run_id, name, kind, inputs, c.rows_in, c.rows_out, c.rows_rejected,
            started_at, seconds, json.dumps(versions()), git_sha(), run.config_sha256,
        )
        for kind, c in counts.items()
    ]  # fmt: skip
    tables.append_rows(run.spark, rows, run.table(RUNS), schemas.RUNS)
    for kind, c in counts.items():
        log.info(
            "%s: %d %s rows in, %d out, %d rejected, %.1f s",
            name, c.rows_in, kind, c.rows_out, c.rows_rejected, seconds,
        )  # fmt: skip
        if c.rows_in != c.rows_out + c.rows_rejected:
            what = f"{name} lost rows of kind {kind}"
            raise AccountingError(
                what,
                expected=f"{c.rows_in} = out + rejected",
                got=f"{c.rows_out} + {c.rows_rejected}",
                hint="don't use this run's tables; keep the log and report it",
            )


def versions() -> dict[str, str]:
    """Return the versions that a run depends on."""
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {"pcb_spark": pcb_spark.__version__, "python": platform.python_version(), **found}


def git_sha() -> str | None:
    """Return the commit of the checkout this package runs from, or null outside of one.

    A repository that merely encloses an installed package, with its environment for example, says
    nothing of this code: the package has to be one of the files that the repository tracks.
    """
    own = Path(pcb_spark.__file__).resolve()
    if _git(own.parent, "ls-files", "--error-unmatch", "--", own.name) is None:
        return None
    return _git(own.parent, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints for ``folder``; None where it fails, or where there is no git."""
    git = shutil.which("git")
    if git is None or not folder.is_dir():
        return None
    command = [git, "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def write_rejects(run: Run, rejects: DataFrame, stage: str) -> dict[str, int]:
    """Append ``rejects`` of this run and return how many there are of each kind."""
    marked = rejects.withColumns({
        names.STAGE: F.lit(stage),
        names.SEEN_AT: F.lit(run.started_at),
        names.RUN_ID: F.lit(run.run_id),
    })  # fmt: skip
    tables.append(marked, run.table(REJECTS), schemas.REJECTS)
    written = tables.read(run.spark, run.table(REJECTS), schemas.REJECTS)
    own = written.where((F.col(names.RUN_ID) == run.run_id) & (F.col(names.STAGE) == stage))
    return {row[names.KIND]: row["count"] for row in own.groupBy(names.KIND).count().collect()}


def count_rows(run: Run, name: str, schema: StructType) -> int:
    """Count the rows that a table holds on disk."""
    return tables.read(run.spark, run.table(name), schema).count()


@contextlib.contextmanager
def few_shuffle_partitions(spark: SparkSession) -> Iterator[None]:
    """Make two a task slot, where Spark's 200 would be tasks of no rows.

    Elsewhere adaptive execution puts small ones together; Spark leaves it out for streams and for
    what is cached, and these jobs are made of those.
    """
    key = "spark.sql.shuffle.partitions"
    before = spark.conf.get(key) or "200"
    spark.conf.set(key, min(int(before), 2 * session.task_slots(spark)))
    try:
        yield
    finally:
        spark.conf.set(key, before)
