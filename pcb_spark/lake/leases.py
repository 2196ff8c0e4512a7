"""Who works on the tables of one ``paths.out``: each job keeps a lease there, for others to see.

A job writes its lease and then looks at the others. Of two that exclude each other and start at
once, the one that looks last sees the other: no file system has to lock for that, only to list what
was written, which local disks, HDFS, S3 and Azure all do. A lease is renewed every ten seconds. One
whose process is gone, or that nobody renews while a job that needs the tables looks on, was left
behind by a job that ended without a word, and is taken away (``neighbours``).

A service pauses for jobs that ask: it goes on once their leases are gone.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError

from pcb_spark.core.errors import Busy, LostLease
from pcb_spark.lake import filesystem, holders, neighbours
from pcb_spark.lake.holders import Holder, Watch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.claims import Claim
    from pcb_spark.lake.neighbours import Neighbour

log = logging.getLogger(__name__)

#: How long a job that asks waits for a service to pause.
PATIENCE_SECONDS = 1800.0
_POLL_SECONDS = 1.0
_LOG_SECONDS = 30.0


@dataclass
class Lease:
    """The lease of this process on tables below ``out``; ``asked`` is set when it shall pause."""

    spark: SparkSession
    out: str
    holder: Holder
    beside: Lease | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.holder.run_id}.json"

    @property
    def uri(self) -> str:
        """Where its file is."""
        return f"{neighbours.folder(self.out)}/{self.name}"

    def write(self, *, paused: bool | None = None) -> None:
        """Write the file, or write it again to show that its holder is alive."""
        with self._lock:
            if paused is not None:
                self.holder = replace(self.holder, paused=paused)
            filesystem.write_whole(self.spark, self.uri, holders.to_bytes(self.holder))

    def require(self) -> None:
        """Stop before the next write where others took this process for dead.

        Raises
        ------
        LostLease : the lease is gone.
        """
        if not neighbours.is_held(self.spark, self.out, self.name):
            raise lost(self.holder.job, self.uri)

    def require_claim(self, uri: str) -> None:
        """Stop where the job doesn't say that it exchanges the table at ``uri``.

        Raises
        ------
        RuntimeError : a fault of the job's record.
        """
        out = filesystem.qualified(self.spark, self.out).rstrip("/") + "/"
        table = filesystem.qualified(self.spark, uri).removeprefix(out)
        if table not in self.holder.claim.exchanges:
            msg = f"{self.holder.job} exchanges {table} and doesn't claim it"
            raise RuntimeError(msg)

    def make_way(self, stop: threading.Event) -> bool:
        """Pause until no job is there that asked; False where ``stop`` came first."""
        watch = Watch()
        self.write(paused=True)
        log.info("%s pauses: another job asked for the tables", self.holder.job)
        while not stop.is_set():
            if not _askers(self, watch):
                self.write(paused=False)
                if not _askers(self, watch):
                    self.asked.clear()
                    log.info("%s goes on", self.holder.job)
                    return True
                self.write(paused=True)
            stop.wait(_POLL_SECONDS)
        return False


@contextlib.contextmanager
def held(
    spark: SparkSession,
    out: str,
    *,
    claim: Claim,
    job: str,
    run_id: str,
    beside: Lease | None = None,
) -> Iterator[Lease]:
    """Hold a lease on tables below ``out``.

    A lease from another machine may have been left behind: for half a minute this looks on whether
    it is renewed. ``beside`` is a lease that this process has already.

    Raises
    ------
    Busy : a job is at work there that excludes this one.
    """
    lease = Lease(spark, out, holders.myself(claim, job=job, run_id=run_id), beside)
    filesystem.make_folder(spark, neighbours.folder(out))
    lease.write()
    try:
        with _renewed(lease):
            _wait_for_others(lease)
            lease.require()
            yield lease
    finally:
        # Where Spark itself ended, the file stays, and counts for no longer than this process.
        with contextlib.suppress(OSError, Py4JError):
            filesystem.remove(spark, lease.uri)


def lost(job: str, where: str) -> LostLease:
    """The error of a job that others took for dead."""
    return LostLease(
        f"{job} lost its lease {where}",
        expected=f"a process that goes on without a pause of {holders.WATCH_SECONDS:.0f} s",
        got="another job that took it for dead, or somebody who deleted the file",
        hint="start it again; what it wrote so far is whole",
    )


def _wait_for_others(lease: Lease) -> None:
    """Return once no lease that excludes this one is in the way, or only paused ones."""
    watch, began, spoke = Watch(), time.monotonic(), 0.0
    claim = lease.holder.claim
    while True:
        found = _others(lease, watch)
        found = [other for other in found if not (other.makes_way(claim) and other.paused)]
        if not found:
            return
        waited = time.monotonic() - began
        for other in found:
            if (other.alive and not other.makes_way(claim)) or waited > PATIENCE_SECONDS:
                raise _refusal(lease.holder, other)
        if not spoke or waited - spoke > _LOG_SECONDS:
            spoke = waited or _POLL_SECONDS
            what = "pauses" if found[0].alive else "still renews its lease"
            log.info("%s waits to see whether %s %s", lease.holder.job, found[0], what)
        time.sleep(_POLL_SECONDS)


def _refusal(own: Holder, other: Neighbour) -> Busy:
    return Busy(
        f"{own.job} can't work on these tables beside another job",
        expected="no other job that changes what this one reads or writes",
        got=str(other),
        hint=f"wait for its end or stop it, then start again; its lease is {other.uri}",
    )


def _others(lease: Lease, watch: Watch) -> list[Neighbour]:
    own = [each.name for each in (lease, lease.beside) if each]
    found = neighbours.look(lease.spark, lease.out, own, watch)
    if found is None:
        raise lost(lease.holder.job, lease.uri)
    return [other for other in found if other.excludes(lease.holder.claim)]


def _askers(lease: Lease, watch: Watch) -> list[Neighbour]:
    """Leases of jobs that ask this one to pause."""
    return [each for each in _others(lease, watch) if each.holder and each.holder.claim.asks]


@contextlib.contextmanager
def _renewed(lease: Lease) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(lease: Lease, done: threading.Event) -> None:
    while not done.wait(holders.RENEW_SECONDS):
        try:
            lease.require()
            lease.write()
            if lease.holder.claim.pauses and _askers(lease, Watch()):
                lease.asked.set()
        except LostLease:
            return
        except (OSError, Py4JError) as error:
            log.warning("the lease %s can't be renewed: %s", lease.uri, error)
