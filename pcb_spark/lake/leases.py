"""Who works on the tables of one ``paths.out``: each job keeps a lease there, for others to see.

A job writes its lease and then looks at the others. Of two that exclude each other and start at
once, the one that looks last sees the other: no file system has to lock for that, only to list what
was written, which local disks, HDFS, S3 and Azure all do. A lease is renewed twice a minute. One
that wasn't for five minutes, by the store's own clock, was left behind by a job that ended without
a word, and so was one of this machine whose process is gone: these are removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from py4j.protocol import Py4JError

from pcb_spark.core.errors import InputError
from pcb_spark.lake import filesystem, tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

#: Ingest goes with every job but another ingest; upkeep (compact, prune) goes with none.
Mode = Literal["ingest", "upkeep", "other"]

FOLDER = ".leases"
RENEW_SECONDS = 30.0
STALE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease: the job, and the process that runs it.

    ``place`` is the machine, and the container in it; ``pid`` says something there only.
    """

    mode: Mode
    job: str
    run_id: str
    host: str
    place: str
    pid: int
    process_started: float
    started_at: str

    def gone(self) -> bool:
        """Whether it ran on this machine and its process is there no more."""
        if self.place != _place():
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.process_started) < 1
            return not same or process.status() == psutil.STATUS_ZOMBIE
        return True


@dataclass(frozen=True)
class Lease:
    """The lease of this process; ``uri`` is its file."""

    spark: SparkSession
    uri: str
    holder: Holder

    def write(self) -> None:
        """Write the file, or write it again to show that its holder is alive."""
        content = json.dumps(asdict(self.holder), indent=1).encode()
        filesystem.write_whole(self.spark, self.uri, content)

    def require(self) -> None:
        """Stop before the next write where others took this process for dead.

        Raises
        ------
        InputError : the lease is gone.
        """
        if not tables.exists(self.spark, self.uri):
            raise InputError(
                f"{self.holder.job} lost its lease {self.uri}",
                expected=f"a process that goes on without a pause of {STALE_SECONDS:.0f} s",
                got="another job that took it for dead, or somebody who deleted the file",
                hint="start it again; what it wrote so far is whole",
            )


@contextlib.contextmanager
def held(spark: SparkSession, out: str, *, mode: Mode, job: str, run_id: str) -> Iterator[Lease]:
    """Hold a lease on the tables below ``out``.

    Raises
    ------
    InputError : a job is at work there that excludes this one.
    """
    folder = tables.locate(out, FOLDER)
    lease = Lease(spark, tables.locate(folder, f"{run_id}.json"), _myself(mode, job, run_id))
    filesystem.make_folder(spark, folder)
    lease.write()
    try:
        _refuse_beside_others(lease, folder)
        with _renewed(lease):
            yield lease
    finally:
        # Where Spark itself ended, the file stays, and counts for no longer than this process.
        with contextlib.suppress(OSError, Py4JError):
            tables.remove(spark, lease.uri)


def excludes(one: Mode, other: Mode) -> bool:
    """Whether two jobs may not work on the same tables at the same time."""
    return "upkeep" in (one, other) or one == other == "ingest"


def _refuse_beside_others(lease: Lease, folder: str) -> None:
    found = [e for e in filesystem.entries(lease.spark, folder) if e.name.endswith(".json")]
    written = {entry.name: entry.modified_ms for entry in found}
    now = written.pop(lease.uri.rpartition("/")[2])
    for name, at in written.items():
        uri = tables.locate(folder, name)
        holder = _read(lease.spark, uri)
        if now - at > STALE_SECONDS * 1000 or (holder and holder.gone()):
            log.warning("removed %s: its job ended without a word", uri)
            tables.remove(lease.spark, uri)
        elif (holder is None or excludes(lease.holder.mode, holder.mode)) and tables.exists(
            lease.spark, uri
        ):
            raise _refusal(lease.holder, holder, uri)


def _refusal(own: Holder, other: Holder | None, uri: str) -> InputError:
    got = "a lease that can't be read"
    if other is not None:
        got = f"{other.job} on {other.host}, process {other.pid}, since {other.started_at}"
    return InputError(
        f"{own.job} can't work on these tables beside another job",
        expected="a second ingest never, compact and prune alone",
        got=got,
        hint=f"wait for its end or stop it; if it surely is gone, delete {uri} "
        f"(it counts as gone after {STALE_SECONDS:.0f} s)",
    )


def _read(spark: SparkSession, uri: str) -> Holder | None:
    """Who holds a lease; None where it was just given back, or can't be understood."""
    try:
        return Holder(**json.loads(filesystem.read_whole(spark, uri)))
    except (OSError, Py4JError, ValueError, TypeError):
        return None


def _myself(mode: Mode, job: str, run_id: str) -> Holder:
    return Holder(
        mode=mode,
        job=job,
        run_id=run_id,
        host=socket.gethostname(),
        place=_place(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _place() -> str:
    """Name the machine, and the container in it, which has process ids of its own."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.is_symlink() else ''}"


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
    while not done.wait(RENEW_SECONDS):
        try:
            lease.require()
            lease.write()
        except InputError:
            return
        except (OSError, Py4JError) as error:
            log.warning("the lease %s can't be renewed: %s", lease.uri, error)
