"""The moves of an exchange: by renames of folders, or file by file, as the store can."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from py4j.protocol import Py4JError

from pcb_spark.core.errors import LostLease, StorageFault
from pcb_spark.lake import filesystem, stores
from pcb_spark.lake.journal import Journal, Part, Plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

#: Says on stores of objects that a table is whole.
SEAL: Final = "_SUCCESS"
#: How many files are deleted between two looks at who owns the journal.
_BATCH: Final = 50


def plan(spark: SparkSession, uri: str, successor: str, parts: tuple[Part, ...]) -> Plan:
    """Plan an exchange; where folders can't be renamed, with the names of all files that go."""
    made = Plan(successor=successor, parts=parts)
    return made if _renames_folders(spark, uri) else _with_names(spark, uri, made)


def carry_out(journal: Journal) -> None:
    """Do what of the plan isn't done.

    Raises
    ------
    LostLease : another job has taken the exchange over.
    """
    try:
        if _never_began(journal):
            log.warning("%s: its successor is gone; the table stays as it is", journal.uri)
            journal.end()
        else:
            _carry_out(journal)
    except (Py4JError, OSError, StorageFault):
        journal.step()  # where another job owns it, that is why
        raise


def _carry_out(journal: Journal) -> None:
    spark, made = journal.spark, journal.plan
    rename = _renames_folders(spark, journal.uri)
    if not rename and made.old is None:  # by an earlier version
        made = _with_names(spark, journal.uri, made)
    for number, (name, filled) in enumerate(made.parts):
        if f"{number}-done" in journal.done:
            continue
        if rename:
            _rename(journal, name, filled)
        else:
            _clear(journal, made, number)
            if filled:
                _move_files(journal, made, number)
        journal.note(f"{number}-done")
    journal.end()
    filesystem.remove(spark, made.successor)


def _never_began(journal: Journal) -> bool:
    """Whether a job was stopped before its first move, and its successor has been removed."""
    moved = any(step.endswith(("-done", "-cleared")) for step in journal.done)
    there = filesystem.exists(journal.spark, journal.plan.successor)
    return journal.resumed and not moved and not there


def _rename(journal: Journal, name: str, filled: bool) -> None:
    spark = journal.spark
    source, target = _join(journal.plan.successor, name), _join(journal.uri, name)
    if filled and not filesystem.exists(spark, source):
        return  # it has moved already
    if filesystem.exists(spark, target):
        journal.step()
        _move(journal, target, f"{journal.aside}/{name or 'table'}")
    if filled:
        _make_room(journal, target)
        journal.step()
        _move(journal, source, target)


def _clear(journal: Journal, made: Plan, number: int) -> None:
    """Delete what the table had, by name: in the new one no file has such a name, but the seal."""
    if f"{number}-cleared" in journal.done or made.old is None:
        return
    name = made.parts[number][0]
    target = _join(journal.uri, name)
    paths = [_join(target, path) for path in made.old[number]]
    for path in paths:
        if path.endswith(f"/{SEAL}"):
            _unseal(journal, path)
    rest = iter(path for path in paths if not path.endswith(f"/{SEAL}"))
    while batch := list(itertools.islice(rest, _BATCH)):
        journal.step()
        for path in batch:
            filesystem.remove(journal.spark, path)
    for folder in _folders(journal.uri, paths):
        journal.step()
        filesystem.remove_empty(journal.spark, folder)
    journal.note(f"{number}-cleared")


def _unseal(journal: Journal, seal: str) -> None:
    journal.step()
    filesystem.remove(journal.spark, seal)
    try:
        journal.step()
    except LostLease:  # it may have been that of the new table
        filesystem.write_whole(journal.spark, seal, b"")
        raise


def _move_files(journal: Journal, made: Plan, number: int) -> None:
    """Move the files of the successor in, the seal last; no file is missing while one meets it."""
    spark, name = journal.spark, made.parts[number][0]
    source, target = _join(made.successor, name), _join(journal.uri, name)
    if not filesystem.exists(spark, source):
        return  # they have moved already
    met = set(made.met[number] if made.met else ())
    for path in sorted(filesystem.below(spark, source), key=lambda p: (p == SEAL, p)):
        comes, goal = _join(source, path), _join(target, path)
        _make_room(journal, goal)
        journal.step()
        if path in met or (journal.resumed and filesystem.exists(spark, goal)):
            # There is one of the old table, or what a killed job has copied of it.
            filesystem.copy_over(spark, comes, goal)
            filesystem.remove(spark, comes)
        else:
            _move(journal, comes, goal)


def _move(journal: Journal, source: str, target: str) -> None:
    try:
        filesystem.move(journal.spark, source, target)
    except (Py4JError, StorageFault):
        # The owner before this one may have slept in this very step, and taken it just now.
        if not journal.resumed or filesystem.exists(journal.spark, source):
            raise


def _make_room(journal: Journal, target: str) -> None:
    """Make the folder of ``target``; that of the table is there."""
    if target != journal.uri:
        filesystem.make_folder(journal.spark, target.rpartition("/")[0])


def _with_names(spark: SparkSession, uri: str, made: Plan) -> Plan:
    old, met = list[tuple[str, ...]](), list[tuple[str, ...]]()
    for name, filled in made.parts:
        there = _files(spark, _join(uri, name))
        new = set(_files(spark, _join(made.successor, name)) if filled else ())
        sealed = [path for path in there if path == SEAL]
        old.append((*sealed, *(path for path in there if path not in new and path != SEAL)))
        met.append(tuple(path for path in there if path in new and path != SEAL))
    return replace(made, old=tuple(old), met=tuple(met))


def _files(spark: SparkSession, uri: str) -> list[str]:
    return filesystem.below(spark, uri) if filesystem.exists(spark, uri) else []


def _folders(uri: str, paths: Iterable[str]) -> list[str]:
    """The folders of these files below ``uri``, the deepest first."""
    found = {path.rpartition("/")[0] for path in paths}
    return sorted((folder for folder in found if len(folder) > len(uri)), reverse=True)


def _renames_folders(spark: SparkSession, uri: str) -> bool:
    store = stores.STORES.get(filesystem.scheme(spark, uri))
    return store is not None and store.renames_folders


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if name else folder
