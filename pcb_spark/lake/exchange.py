"""Exchanges of tables and their partitions that are carried out whole, whatever ends the job.

The successor is complete beside its place before a journal (``journal``) says that its exchange has
begun. From then on it only goes forward. Local disks and HDFS rename a folder in one piece, so the
old one steps aside and the new one takes its place. Stores of objects copy file by file; there the
files of the old table are deleted by their names, and those of the new one move in, ``_SUCCESS``
last.

Who reads waits. Where the job that began is gone, only one that holds a lease for writing the table
goes on with it. The other, if it only slept, stops at its next step; the step that it slept in does
no harm, since it names what only the old table had, or what isn't there any more.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pcb_spark.core.errors import Busy
from pcb_spark.lake import filesystem, journal, leases, moves
from pcb_spark.lake.claims import Claim
from pcb_spark.lake.holders import Watch
from pcb_spark.lake.moves import SEAL as SEAL

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.journal import Journal
    from pcb_spark.lake.journal import Part as Part
    from pcb_spark.lake.leases import Lease

log = logging.getLogger(__name__)

WHOLE: Final[tuple[Part, ...]] = (("", True),)

_STAGING: Final = ".staging-"
#: How long a reader waits for the end of an exchange, and for somebody to go on with one.
PATIENCE_SECONDS: Final = 1800.0
ABANDONED_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 1.0
_LOG_SECONDS: Final = 30.0


def staging(uri: str, lease: Lease | None = None) -> str:
    """Return the folder in which this run writes a successor of ``uri``."""
    parent, _, name = uri.rpartition("/")
    return f"{parent}/{_STAGING}{name}-{lease.holder.run_id if lease else secrets.token_hex(6)}"


def tidy(spark: SparkSession, uri: str, lease: Lease | None) -> None:
    """Remove the staging folders that other runs left; only who holds a lease may know."""
    if lease is None:
        return
    parent, _, name = uri.rpartition("/")
    left = (f"{_STAGING}{name}", f"{_STAGING}{name}.old")
    for found in filesystem.names(spark, parent):
        if found in left or found.startswith(f"{_STAGING}{name}-"):
            filesystem.remove(spark, f"{parent}/{found}")


def swap(
    spark: SparkSession,
    uri: str,
    successor: str,
    parts: Sequence[Part] = WHOLE,
    *,
    lease: Lease | None = None,
) -> None:
    """Put what is in the folder ``successor`` in the place of ``parts`` of the table ``uri``.

    Raises
    ------
    LostLease : another job has taken this one for dead.
    """
    filesystem.require(spark, successor)
    finish(spark, uri, lease=lease)
    if parts != WHOLE and filesystem.exists(spark, f"{successor}/{SEAL}"):
        parts = [(SEAL, False), *parts, (SEAL, True)]
    plan = moves.plan(spark, uri, filesystem.qualified(spark, successor), tuple(parts))
    moves.carry_out(journal.begin(spark, uri, plan, lease))


def finish(spark: SparkSession, uri: str, *, lease: Lease | None = None) -> None:
    """Go on with the exchange that a job of this table left behind, if it did.

    Raises
    ------
    Busy : that job is alive, or this one has no lease that would allow it.
    """
    if lease is None:
        settle(spark, uri)
        return
    watch = Watch()
    for left in journal.begun(spark, uri):
        lease.require_claim(uri)
        while (alive := left.owner_alive(watch)) is None:
            time.sleep(_POLL_SECONDS)
        if alive and not left.is_owned_by(lease):
            raise _busy(left, "it is being exchanged", "start again once that job is done")
        log.warning("%s: going on with an exchange that %s left unfinished", uri, left.plan.job)
        left.take(lease)
        moves.carry_out(left)
    journal.remove_all(spark, uri)


def settle(spark: SparkSession, uri: str) -> None:
    """Wait for the end of an exchange of ``uri``, as who only reads it.

    Raises
    ------
    Busy : it doesn't end, or its job is gone and no other goes on with it.
    """
    watch, began, spoke = Watch(), time.monotonic(), 0.0
    while found := journal.begun(spark, uri):
        waited = time.monotonic() - began
        alive = found[0].owner_alive(watch)
        if alive is False and waited > ABANDONED_SECONDS:
            hint = "start that job, or any that writes the table: it goes on with the exchange"
            raise _busy(found[0], "a job that is gone left it half exchanged", hint)
        if waited > PATIENCE_SECONDS:
            raise _busy(found[0], "it is being exchanged", "start again once that job is done")
        if waited - spoke > _LOG_SECONDS:
            spoke = waited
            log.info("waiting for %s, which %s exchanges", uri, found[0].plan.job)
        time.sleep(_POLL_SECONDS)


def mend(
    spark: SparkSession, out: str, claim: Claim, *, run_id: str, beside: Lease | None = None
) -> None:
    """Go on with exchanges of claimed tables whose jobs are gone, with a lease for just that.

    ``beside`` is a lease that this process has already.
    """
    watch = Watch()
    for name in journal.tables(spark, out):
        uri = f"{out.rstrip('/')}/{name}"
        if name not in claim.tables or not _abandoned(spark, uri, watch):
            continue
        only = Claim(replaces=frozenset({name}), asks=True)
        job, own = f"the repair of {name}", f"{run_id}-{name}"
        with leases.held(spark, out, claim=only, job=job, run_id=own, beside=beside) as lease:
            finish(spark, uri, lease=lease)


def _abandoned(spark: SparkSession, uri: str, watch: Watch) -> bool:
    """Whether there is a journal of ``uri`` and its owner is gone."""
    for left in journal.begun(spark, uri):
        while (alive := left.owner_alive(watch)) is None:
            time.sleep(_POLL_SECONDS)
        return not alive
    return False


def _busy(left: Journal, what: str, hint: str) -> Busy:
    return Busy(
        f"{left.uri} can't be used: {what}", got=f"the exchange of {left.plan.job}, {left.folder}",
        hint=hint,
    )  # fmt: skip
