"""What the words of a command line ask for: the record of a job as its flags change it."""

from __future__ import annotations

import argparse
import getpass
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core.errors import ConfigError
from pcb_spark.pipeline import claims, clearing
from pcb_spark.pipeline.jobs import (
    JOBS,
    MODEL,
    ORDERS,
    SERVICE,
    JobRecord,
)
from pcb_spark.pipeline.models import Signed
from pcb_spark.pipeline.nightly import Days

if TYPE_CHECKING:
    from pcb_spark.lake.claims import Claim

#: The flags of jobs that are told them as they are.
_TOLD: Final = {
    "export": ("to", "key", "weights_licence", "version"),
    "review-queue": ("to", "known_defects", "again", "decisions"),
    "explain": ("board", "to", "as_json"),
    "decisions": ("day", "form", "to"),
    "retrain": ("if_alarmed",),
}


def of_job(options: argparse.Namespace) -> JobRecord:
    """The record of a job.

    Raises
    ------
    ConfigError : flags that contradict each other.
    """
    record = JOBS[options.name]
    if options.name == "ingest" and options.continuous:
        return SERVICE
    if options.name == "prune":
        return _prune(record, options)
    if options.name == "nightly":
        return _nightly(record, options)
    given = {name: getattr(options, name) for name in _TOLD.get(options.name, ())}
    claim = claims.QUEUE_OF_DECISIONS if given.get("decisions") else record.claim
    return _told(record, given, claim)


def of_model(options: argparse.Namespace) -> JobRecord:
    """The record of what follows ``pcb-spark model``."""
    record, given = MODEL[options.action], vars(options)
    told: dict[str, Any] = {name: given[name] for name in ("version", "force") if name in given}
    if "who" in given:
        told["signed"] = Signed(who=options.who or _user(), why=options.why)
    return _told(replace(record, name=f"model {record.name}"), told, record.claim)


def of_order(options: argparse.Namespace) -> JobRecord:
    """The record of what a person orders."""
    signed = clearing.Signed(who=options.who or _user(), why=options.why)
    record = ORDERS[options.name]
    return _told(record, {"line": options.line, "signed": signed}, record.claim)


def _user() -> str:
    """Who is at the keyboard; a container's user may have no name.

    Raises
    ------
    ConfigError : nobody knows.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("this user has no name", hint="--who NAME") from None


def _prune(record: JobRecord, options: argparse.Namespace) -> JobRecord:
    limits = {"before": options.before, "force": options.force, "dry_run": options.dry_run}
    claim = record.claim.looking_only() if options.dry_run else record.claim
    return _told(record, limits, claim)


def _nightly(record: JobRecord, options: argparse.Namespace) -> JobRecord:
    first, last = options.from_day or options.date_day, options.to_day or options.date_day
    if (first is None) != (last is None) or (options.date_day and (first, last) != (
        options.date_day, options.date_day
    )):  # fmt: skip
        raise ConfigError("--date says one day, --from and --to together say several")
    if first and last and first > last:
        raise ConfigError("--from is after --to", got=f"{first} to {last}")
    night, report = record.steps
    told = partial(night, days=Days(first=first, last=last), take_in=not options.no_ingest)
    claim = claims.NIGHT_ALONE if options.no_ingest else record.claim
    return replace(record, steps=(told, report), claim=claim)


def _told(record: JobRecord, options: dict[str, Any], claim: Claim) -> JobRecord:
    """The same record, each step of which is told these options."""
    steps = tuple(partial(step, **options) for step in record.steps) if options else record.steps
    return replace(record, steps=steps, claim=claim)
