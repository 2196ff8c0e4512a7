"""The brake: a person stops clearing, of a line or of all, and lets it go on.

What is stopped is decided at threshold 0, so everything goes to an operator, and verdicts of it
count as those from before the gate do: no score chose them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pcb_spark.core.errors import InputError
from pcb_spark.core.names import LINE
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import CLEARING

if TYPE_CHECKING:
    from pyspark.sql import Row

    from pcb_spark.lake.run import Run
    from pcb_spark.pipeline.job import Job

STOP: Final = "stop"
RESUME: Final = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who says so, and why."""

    who: str
    why: str


def stopped(run: Run) -> frozenset[str | None]:
    """The lines of which nothing is cleared; None among them stops all."""
    if not tables.exists(run.spark, run.table(CLEARING)):
        return frozenset()
    return of_rows(tables.read(run.spark, run.table(CLEARING), schemas.CLEARING).collect())


def of_rows(rows: Iterable[Row]) -> frozenset[str | None]:
    """The same of rows of ``clearing``: what was said last of each line counts."""
    last = {row[LINE]: row["action"] for row in sorted(rows, key=lambda row: row["said_at"])}
    return frozenset(line for line, action in last.items() if action == STOP)


def run_stop_clearing(job: Job, *, line: str | None, signed: Signed) -> None:
    """Clear nothing any more, of a line or of all."""
    _say(job, STOP, line, signed)


def run_resume_clearing(job: Job, *, line: str | None, signed: Signed) -> None:
    """Clear again what was stopped by the same words.

    Raises
    ------
    InputError : it isn't stopped.
    """
    now = stopped(job)
    if line not in now:
        raise InputError(
            f"clearing of {_called(line)} isn't stopped",
            got=_told(now),
            hint="name what was stopped: --line L, or no --line for all",
        )
    _say(job, RESUME, line, signed)


def _say(job: Job, action: str, line: str | None, signed: Signed) -> None:
    row = (datetime.now(UTC), action, line, signed.who, signed.why, job.run_id)
    tables.append_rows(job.spark, [row], job.table(CLEARING), schemas.CLEARING)
    job.notes.append(f"{_told(stopped(job))}, from the next decision on")


def _told(stops: frozenset[str | None]) -> str:
    if not stops:
        return "clearing isn't stopped"
    return f"nothing is cleared of {' and of '.join(sorted(map(_called, stops)))}"


def _called(line: str | None) -> str:
    return "all lines" if line is None else f"line {line}"
