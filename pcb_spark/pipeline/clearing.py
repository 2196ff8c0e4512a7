"""The brake: a person stops clearing, of a line or of all, and lets it go on.

What is stopped is decided at threshold 0, so everything goes to an operator, and verdicts of it
count as those from before the gate do: no score chose them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pcb_spark.core.errors import InputError
from pcb_spark.core.names import LINE
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import CLEARING
from pcb_spark.review import database, orders

if TYPE_CHECKING:
    from pcb_spark.pipeline.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who says so, and why."""

    who: str
    why: str


def stopped(job: Job) -> frozenset[str | None]:
    """The lines of which nothing is cleared; None among them stops all.

    Raises
    ------
    StoreUnreachable : the review page's store, where one is configured, doesn't answer.
    """
    return of_rows(ordered(job))


def ordered(job: Job) -> list[dict[str, Any]]:
    """All that was ordered, as rows of ``clearing`` are collected.

    Raises
    ------
    StoreUnreachable : see ``stopped``.
    """
    rows: list[dict[str, Any]] = []
    if tables.exists(job.spark, job.table(CLEARING)):
        found = tables.read(job.spark, job.table(CLEARING), schemas.CLEARING).collect()
        rows += [row.asDict() for row in found]
    if job.config.ingest.verdict_store:
        rows += at_the_page(job.config.ingest.verdict_store)
    return rows


def at_the_page(url: str) -> list[dict[str, Any]]:
    """What leads ordered at the review page, as rows of ``clearing`` are collected.

    Raises
    ------
    StoreUnreachable : its store doesn't answer.
    """
    engine = database.connect(url)
    try:
        with database.reaching(engine):
            found = orders.given(engine)
    finally:
        engine.dispose()
    # Spark hands out times without a zone, in this machine's.
    moments = [datetime.fromisoformat(order["said_at"]).astimezone() for order in found]
    return [
        order | {"said_at": moment.replace(tzinfo=None)}
        for order, moment in zip(found, moments, strict=True)
    ]


def of_rows(rows: Iterable[Mapping[str, Any]]) -> frozenset[str | None]:
    """The same of rows of ``clearing``: what was said last of each line counts."""
    return frozenset(in_force(rows))


def in_force(rows: Iterable[Mapping[str, Any]]) -> dict[str | None, Mapping[str, Any]]:
    """The orders that stop something, by line."""
    last = {row[LINE]: row for row in sorted(rows, key=lambda row: row["said_at"])}
    return {line: row for line, row in last.items() if row["action"] == orders.STOP}


def run_stop_clearing(job: Job, *, line: str | None, signed: Signed) -> None:
    """Clear nothing any more, of a line or of all."""
    _say(job, orders.STOP, line, signed)


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
    _say(job, orders.RESUME, line, signed)


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
