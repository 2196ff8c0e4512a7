"""The leases of other jobs: who is there, and what becomes of leases that were left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError

from pcb_spark.lake import filesystem, holders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.claims import Claim
    from pcb_spark.lake.holders import Holder, Watch

log = logging.getLogger(__name__)

FOLDER = ".leases"
#: Names jobs whose leases were taken away, so that they stop even where they only slept and renew
#: them once more.
LOST = ".leases-lost"
#: By the store's own clock; a process that is there but stopped counts for no longer either.
STALE_SECONDS = 300.0
_FORGET_LOST_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another lease: its file, its holder if it can be read, whether it lives if that is known."""

    uri: str
    holder: Holder | None
    alive: bool | None

    def excludes(self, claim: Claim) -> bool:
        """Whether a job that claims this may not work beside it."""
        return self.holder is None or self.holder.claim.excludes(claim)

    def makes_way(self, claim: Claim) -> bool:
        """Whether it pauses, sooner or later, for a job that claims this."""
        return self.holder is not None and claim.asks and self.holder.claim.pauses

    @property
    def paused(self) -> bool:
        """Whether it has done so."""
        return self.holder is not None and self.holder.paused

    def __str__(self) -> str:
        return str(self.holder) if self.holder else "a lease that can't be read"


def folder(out: str) -> str:
    """Where the leases on tables below ``out`` are."""
    return f"{out.rstrip('/')}/{FOLDER}"


def is_held(spark: SparkSession, out: str, name: str) -> bool:
    """Whether the lease ``name`` is there and wasn't taken away."""
    return filesystem.exists(spark, f"{folder(out)}/{name}") and not filesystem.exists(
        spark, _lost(out, name)
    )


def look(spark: SparkSession, out: str, own: Iterable[str], watch: Watch) -> list[Neighbour] | None:
    """The leases of others, but those left behind, which are taken away.

    None where there is nothing under the first of our ``own`` names any more.
    """
    entries = filesystem.entries(spark, folder(out))
    written = {entry.name: entry.modified_ms for entry in entries if entry.name.endswith(".json")}
    now, *_ = [written.pop(name, None) for name in own]
    if now is None:
        return None
    lost = set(filesystem.names(spark, _lost(out, "")) if written else ())
    found = []
    for name, at in sorted(written.items()):
        uri = f"{folder(out)}/{name}"
        holder = _read(spark, uri)
        gone = holder.gone() if holder else None
        living = watch.alive(uri, at) if gone is None else not gone
        if name in lost or living is False or now - at > STALE_SECONDS * 1000:
            _take_away(spark, out, name, proven=gone is True)
        elif holder or filesystem.exists(spark, uri):  # it wasn't given back meanwhile
            found.append(Neighbour(uri, holder, living))
    return found


def alive(spark: SparkSession, uri: str, watch: Watch) -> bool | None:
    """Whether the holder of the lease at ``uri`` lives; None for as long as nobody can know."""
    place, _, name = uri.rpartition("/")
    written = filesystem.modified_ms(spark, uri)
    if written is None or not is_held(spark, place.rpartition("/")[0], name):
        return False
    holder = _read(spark, uri)
    gone = holder.gone() if holder else None
    return watch.alive(uri, written) if gone is None else not gone


def _take_away(spark: SparkSession, out: str, name: str, *, proven: bool) -> None:
    """Remove a lease; where its process may only sleep, leave word that it has none any more."""
    uri = f"{folder(out)}/{name}"
    log.warning("removed %s: its job ended without a word", uri)
    if not proven:
        filesystem.make_folder(spark, _lost(out, ""))
        filesystem.write_whole(spark, _lost(out, name), b"")
        _forget_lost(spark, out)
    filesystem.remove(spark, uri)


def _forget_lost(spark: SparkSession, out: str) -> None:
    """Remove words that nobody sleeps long enough to need."""
    entries = filesystem.entries(spark, _lost(out, ""))
    newest = max((entry.modified_ms for entry in entries), default=0)
    for entry in entries:
        if newest - entry.modified_ms > _FORGET_LOST_SECONDS * 1000:
            filesystem.remove(spark, _lost(out, entry.name))


def _lost(out: str, name: str) -> str:
    return f"{out.rstrip('/')}/{LOST}/{name}".rstrip("/")


def _read(spark: SparkSession, uri: str) -> Holder | None:
    """Who holds a lease; None where it was just given back, or can't be understood."""
    try:
        return holders.from_bytes(filesystem.read_whole(spark, uri))
    except (OSError, Py4JError):
        return None
