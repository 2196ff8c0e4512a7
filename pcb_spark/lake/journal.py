"""The journal of an exchange: its plan, who is carrying it out, and what is done.

It is a folder of its own, ``.exchange-<table>/<id>/``: ``plan.json``, an empty file for each step
that is done, since not all stores overwrite a file in one piece, and an empty file
``owner-<n>-<run>`` for each job after the first that took the exchange over. The last of these owns
it, and the others stop at their next step. Nothing that an owner does later than that can hurt: it
moves and deletes by names that no other exchange has, and the folder into which it would put the
old table aside has another name by then.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.lake import filesystem, leases, neighbours

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.holders import Watch
    from pcb_spark.lake.leases import Lease

#: Part of a table, the empty path for all of it, and whether it has a successor.
Part = tuple[str, bool]

PREFIX: Final = ".exchange-"
_PLAN: Final = "plan.json"
_BEAT: Final = "beat"
_OWNER: Final = "owner-"
#: How often an owner without a lease says that it is at work.
_BEAT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes where.

    Parameters
    ----------
    old : for each part, the files that go; None where folders are renamed, and step aside.
    met : for each part, the files of the successor that have the name of an old one.
    job, run, lease : who made the plan; ``lease`` is its file, empty where it has none.
    """

    successor: str
    parts: tuple[Part, ...]
    old: tuple[tuple[str, ...], ...] | None = None
    met: tuple[tuple[str, ...], ...] | None = None
    job: str = "a program without a lease"
    run: str = ""
    lease: str = ""

    def signed(self, lease: Lease | None) -> Plan:
        """The plan with the name of who carries it out."""
        if lease is None:
            return replace(self, run=secrets.token_hex(6))
        return replace(
            self, job=lease.holder.job, run=lease.holder.run_id, lease=_file_of(lease)
        )  # fmt: skip


@dataclass
class Journal:
    """The journal in ``folder`` of an exchange of the table ``uri``, for owner ``number``."""

    spark: SparkSession
    uri: str
    folder: str
    plan: Plan
    number: int = 1
    resumed: bool = False
    done: set[str] = field(default_factory=set)
    spoke_at: float = field(default_factory=time.monotonic)

    @property
    def aside(self) -> str:
        """The folder into which this owner may put what it takes away."""
        return f"{self.folder}/aside-{self.number}"

    def take(self, lease: Lease) -> None:
        """Own it from now on.

        Raises
        ------
        LostLease : another job took it at the same time.
        """
        self.plan, self.resumed = self.plan.signed(lease), True
        self.number = len(self._owners()) + 2
        if self.plan.old is None:
            filesystem.make_folder(self.spark, self.aside)
        owner = json.dumps({"job": self.plan.job, "lease": self.plan.lease}).encode()
        filesystem.write_whole(self.spark, f"{self.folder}/{self._own_name}", owner)
        self.step()
        for number in range(1, self.number):
            earlier = f"{self.folder}/aside-{number}"
            if filesystem.exists(self.spark, earlier):
                filesystem.move(self.spark, earlier, f"{self.folder}/fenced-{number}-{self.number}")
        self.done = set(filesystem.names(self.spark, self.folder))

    def step(self) -> None:
        """Stop where another job owns the exchange by now; say that this one is at work.

        Raises
        ------
        LostLease : it does, or has carried it out.
        """
        names = filesystem.names(self.spark, self.folder)
        owners = self._owners(names)
        if _PLAN not in names or (owners[-1:] or [""]) != [self._own_name]:
            raise leases.lost(self.plan.job, self.folder)
        if time.monotonic() - self.spoke_at > _BEAT_SECONDS:
            self._write(_BEAT)

    def note(self, what: str) -> None:
        """Remember that a step is done."""
        self.step()
        self._write(what)
        self.done.add(what)

    def end(self) -> None:
        """Forget the exchange: it is done."""
        # Without its plan the journal says nothing, with its plan alone it would begin anew.
        filesystem.remove(self.spark, f"{self.folder}/{_PLAN}")
        self.discard()

    def discard(self) -> None:
        """Remove the folder."""
        filesystem.remove(self.spark, self.folder)
        filesystem.remove_empty(self.spark, _root(self.uri))

    def is_owned_by(self, lease: Lease) -> bool:
        """Whether the job with this lease is carrying it out."""
        return self._owner_lease() == _file_of(lease)

    def owner_alive(self, watch: Watch) -> bool | None:
        """Whether who carries it out lives; None for as long as nobody can know."""
        lease = self._owner_lease()
        if lease is None:  # of an earlier version, whose jobs hold leases that exclude ours
            return False
        if lease:
            return neighbours.alive(self.spark, lease, watch)
        entries = filesystem.entries(self.spark, self.folder)
        return watch.alive(self.folder, tuple((e.name, e.modified_ms) for e in entries))

    def _owner_lease(self) -> str | None:
        owners = self._owners()
        if not owners:
            return self.plan.lease if self.plan.run else None
        content = filesystem.read_whole(self.spark, f"{self.folder}/{owners[-1]}")
        return str(json.loads(content)["lease"]) if content else ""

    @property
    def _own_name(self) -> str:
        return f"{_OWNER}{self.number:06}-{self.plan.run}" if self.number > 1 else ""

    def _owners(self, names: list[str] | None = None) -> list[str]:
        """Those after the first, in their order."""
        names = filesystem.names(self.spark, self.folder) if names is None else names
        return sorted(name for name in names if name.startswith(_OWNER))

    def _write(self, name: str) -> None:
        filesystem.write_whole(self.spark, f"{self.folder}/{name}", b"")
        self.spoke_at = time.monotonic()


def begin(spark: SparkSession, uri: str, plan: Plan, lease: Lease | None) -> Journal:
    """Say that an exchange begins.

    Raises
    ------
    LostLease : the job has no right to it any more.
    """
    if lease:
        lease.require_claim(uri)
        lease.require()
    journal = Journal(spark, uri, f"{_root(uri)}/{secrets.token_hex(6)}", plan.signed(lease))
    filesystem.make_folder(spark, journal.folder if plan.old is not None else journal.aside)
    try:
        content = json.dumps(asdict(journal.plan)).encode()
        filesystem.write_whole(spark, f"{journal.folder}/{_PLAN}", content)
    finally:
        # Who takes a lease away looks for journals afterwards: one of the two sees the other.
        if lease:
            lease.require()
    return journal


def begun(spark: SparkSession, uri: str) -> list[Journal]:
    """The journals of exchanges of ``uri`` that have begun and not ended."""
    names, root = filesystem.names(spark, _root(uri)), _root(uri)
    # An earlier version had one, right in this folder.
    folders = [root] if _PLAN in names else [f"{root}/{name}" for name in sorted(names)]
    found = ((folder, _read_plan(spark, f"{folder}/{_PLAN}")) for folder in folders)
    return [Journal(spark, uri, folder, plan) for folder, plan in found if plan]


def remove_all(spark: SparkSession, uri: str) -> None:
    """Remove what is left of journals that have not begun, or ended."""
    if filesystem.exists(spark, _root(uri)):
        filesystem.remove(spark, _root(uri))


def tables(spark: SparkSession, out: str) -> list[str]:
    """The names of tables below ``out`` of which there are journals."""
    found = filesystem.names(spark, out)
    return sorted(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))


def _file_of(lease: Lease) -> str:
    return filesystem.qualified(lease.spark, lease.uri)


def _root(uri: str) -> str:
    parent, _, name = uri.rpartition("/")
    return f"{parent}/{PREFIX}{name}"


def _read_plan(spark: SparkSession, uri: str) -> Plan | None:
    if not filesystem.exists(spark, uri):
        return None
    try:
        found: dict[str, Any] = json.loads(filesystem.read_whole(spark, uri))
    except json.JSONDecodeError:
        return None
    parts = tuple((name, filled) for name, filled in found.pop("parts"))
    lists = {
        key: tuple(tuple(names) for names in found.pop(key))
        for key in ("old", "met")
        if found.get(key) is not None
    }
    return Plan(**found | lists, parts=parts)
