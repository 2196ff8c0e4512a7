"""Exchanges of tables and their partitions that are carried out whole, whatever ends the job.

The successor is complete beside its place before the journal ``.exchange-<table>`` says that its
exchange has begun. From then on it only goes forward: whoever finds the journal goes on with it.
Local disks and HDFS rename a folder in one piece, so the old one steps aside and the new one takes
its place. Stores of objects copy file by file; there the old one is deleted and the files of the
new one move in, ``_SUCCESS`` last.

The journal is a folder: ``plan.json``, and an empty file for each step that is done, since not all
stores overwrite a file in one piece.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pcb_spark.lake import filesystem, stores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

#: Says on stores of objects that a table is whole.
SEAL: Final = "_SUCCESS"
#: A part of a table, the empty path for all of it, and whether it has a successor.
Part = tuple[str, bool]
WHOLE: Final[tuple[Part, ...]] = (("", True),)

_PREFIX: Final = ".exchange-"
_PLAN: Final = "plan.json"
#: How often a job says that it is at work, and after how long without a word it is taken for dead.
_BEAT_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 60.0


def staging(uri: str) -> str:
    """Return the folder in which the successor of ``uri`` is written."""
    parent, _, name = uri.rpartition("/")
    return f"{parent}/.staging-{name}"


def swap(spark: SparkSession, uri: str, successor: str, parts: Sequence[Part] = WHOLE) -> None:
    """Put what is in the folder ``successor`` in the place of ``parts`` of the table ``uri``."""
    filesystem.require(spark, successor)
    if parts != WHOLE and filesystem.exists(spark, f"{successor}/{SEAL}"):
        parts = [(SEAL, False), *parts, (SEAL, True)]
    exchange = _Exchange(spark, uri, successor, tuple(parts))
    exchange.begin()
    exchange.go_on()


def finish(spark: SparkSession, uri: str) -> None:
    """Go on with the exchange that a job of this table left behind, if it did."""
    journal = _journal(uri)
    if not filesystem.exists(spark, journal):
        return
    plan = _read_plan(spark, f"{journal}/{_PLAN}")
    if plan is None:  # not begun, or done
        filesystem.remove(spark, journal)
        return
    log.warning("%s: going on with an exchange that a job left unfinished", uri)
    successor, parts = plan
    _Exchange(spark, uri, successor, parts, resumed=True).go_on()


def settle(spark: SparkSession, uri: str) -> None:
    """Wait for the end of an exchange of ``uri``; finish it where its job is gone."""
    seen, since = list[str](), time.monotonic()
    while found := sorted(filesystem.names(spark, _journal(uri))):
        if found != seen:
            seen, since = found, time.monotonic()
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            finish(spark, uri)
            return
        time.sleep(1)


def settle_all(spark: SparkSession, out: str) -> None:
    """``settle`` every table below ``out``."""
    for name in filesystem.names(spark, out):
        if name.startswith(_PREFIX):
            settle(spark, f"{out.rstrip('/')}/{name.removeprefix(_PREFIX)}")


def _journal(uri: str) -> str:
    parent, _, name = uri.rpartition("/")
    return f"{parent}/{_PREFIX}{name}"


def _read_plan(spark: SparkSession, uri: str) -> tuple[str, tuple[Part, ...]] | None:
    if not filesystem.exists(spark, uri):
        return None
    try:
        plan = json.loads(filesystem.read_whole(spark, uri))
    except json.JSONDecodeError:
        return None
    return plan["successor"], tuple((name, filled) for name, filled in plan["parts"])


@dataclass
class _Exchange:
    spark: SparkSession
    uri: str
    successor: str
    parts: tuple[Part, ...]
    resumed: bool = False
    spoke_at: float = field(default_factory=time.monotonic)
    beats: int = 0

    def begin(self) -> None:
        filesystem.remove(self.spark, _journal(self.uri))
        filesystem.make_folder(self.spark, _journal(self.uri))
        successor = filesystem.qualified(self.spark, self.successor)
        plan = json.dumps({"successor": successor, "parts": self.parts})
        filesystem.write_whole(self.spark, f"{_journal(self.uri)}/{_PLAN}", plan.encode())

    def go_on(self) -> None:
        store = stores.STORES.get(filesystem.scheme(self.spark, self.uri))
        rename = store is not None and store.renames_folders
        for number, (name, filled) in enumerate(self.parts):
            source, target = (_join(folder, name) for folder in (self.successor, self.uri))
            if not self._is_done(f"{number}-done"):
                if rename:
                    self._rename(source, target, _join(f"{self.successor}.old", name), filled)
                else:
                    self._move_files(source, target, number, filled)
                self._note(f"{number}-done")
        # Without its plan the journal says nothing, with its plan alone it would begin anew.
        filesystem.remove(self.spark, f"{_journal(self.uri)}/{_PLAN}")
        for folder in (_journal(self.uri), self.successor, f"{self.successor}.old"):
            filesystem.remove(self.spark, folder)

    def _rename(self, source: str, target: str, aside: str, filled: bool) -> None:
        if filled and not filesystem.exists(self.spark, source):
            return  # it has moved already
        if filesystem.exists(self.spark, target):
            filesystem.remove(self.spark, aside)
            filesystem.make_folder(self.spark, aside.rpartition("/")[0])
            filesystem.move(self.spark, target, aside)
        if filled:
            self._make_room(target)
            filesystem.move(self.spark, source, target)

    def _move_files(self, source: str, target: str, number: int, filled: bool) -> None:
        if not self._is_done(f"{number}-cleared"):
            if filled:
                filesystem.require(self.spark, source)
            filesystem.remove(self.spark, target)
            self._note(f"{number}-cleared")
        if not filled or not filesystem.exists(self.spark, source):
            return
        for path in sorted(filesystem.below(self.spark, source), key=lambda p: (p == SEAL, p)):
            goal = _join(target, path)
            if self.resumed:  # what a killed job has copied of it
                filesystem.remove(self.spark, goal)
            self._make_room(goal)
            filesystem.move(self.spark, _join(source, path), goal)
            if time.monotonic() - self.spoke_at > _BEAT_SECONDS:
                self.beats += 1
                self._note(f"{number}-beat-{self.beats}-{time.time_ns()}")

    def _make_room(self, target: str) -> None:
        """Make the folder of ``target``; that of the table is there."""
        if target != self.uri:
            filesystem.make_folder(self.spark, target.rpartition("/")[0])

    def _is_done(self, step: str) -> bool:
        return self.resumed and filesystem.exists(self.spark, f"{_journal(self.uri)}/{step}")

    def _note(self, step: str) -> None:
        filesystem.write_whole(self.spark, f"{_journal(self.uri)}/{step}", b"")
        self.spoke_at = time.monotonic()


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if name else folder
