"""What operators say: entries that are only ever added, each once, whoever repeats a request.

The page names an entry before it sends it, so that a request whose answer was lost is sent again
and changes nothing. What has been answered is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, verifications
from pcb_spark.review import queue, tables
from pcb_spark.review.database import returning_one

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

#: Besides the states of IPC-CFX: somebody else should look, and an entry is taken back.
UNSURE: Final = "Unsure"
UNDO: Final = "Undo"
STATES: Final = (*verifications.VERDICTS, UNSURE, UNDO)

_ENTRIES, _QUEUE = tables.ENTRIES.c, tables.QUEUE.c

OTHER_ENTRY: Final = "other_entry"
UNKNOWN_ITEM: Final = "unknown_item"
NOT_YOURS: Final = "not_yours"
NOT_UNDOABLE: Final = "not_undoable"


class Declined(Exception):
    """An entry that doesn't count, and a code for programs that says why."""

    def __init__(self, code: str, what: str) -> None:
        self.code = code
        self.what = what
        super().__init__(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an operator says of an item.

    Attributes
    ----------
    entry_id : made by the page, of random bits.
    state : one of ``STATES``.
    defects : kinds of defect, of a ``fail`` alone.
    undoes : the entry that is taken back, of ``UNDO`` alone.
    """

    entry_id: str
    item_id: str
    state: str
    defects: tuple[str, ...] = ()
    comment: str | None = None
    undoes: str | None = None

    @property
    def verdict(self) -> str | None:
        """``pass``, ``fail``, or None where it is neither."""
        return verifications.VERDICTS.get(self.state)

    def row(self) -> dict[str, Any]:
        """The columns that the page decides about."""
        return {
            "entry_id": self.entry_id, "item_id": self.item_id, "state": self.state,
            names.VERDICT: self.verdict, names.DEFECTS: "|".join(self.defects) or None,
            "comment": self.comment, "undoes": self.undoes,
        }  # fmt: skip


def enter(engine: Engine, page: queue.Page, entry: Entry) -> None:
    """Store an entry; it is on the disk when this returns.

    Raises
    ------
    Declined : the item isn't there, is somebody else's by now, or the entry says something else
        than it did before.
    """
    with engine.begin() as connection:
        place = _locked(connection, entry.item_id)
        if _is_there(connection, page, entry):
            return
        spoken = effective_of(connection, entry.item_id)
        if entry.state == UNDO:
            _check_undo(page, entry, spoken)
            spoken.pop()
        else:
            _check(page, place, spoken)
            spoken.append(entry.row() | {names.OPERATOR_ID: page.operator_id})
        row = entry.row() | {names.OPERATOR_ID: page.operator_id, "entered_at": tables.now()}
        connection.execute(sa.insert(tables.ENTRIES), row)
        _move(connection, page, entry, spoken)


def undone() -> sa.ColumnElement[bool]:
    """Whether a later entry takes this one back."""
    later = tables.ENTRIES.alias()
    return sa.exists().where(later.c.undoes == _ENTRIES.entry_id)


def effective_of(connection: Connection, item_id: str) -> list[dict[str, Any]]:
    """What was said of an item and not taken back, in its order."""
    query = (
        sa.select(tables.ENTRIES)
        .where(_ENTRIES.item_id == item_id, _ENTRIES.state != UNDO, ~undone())
        .order_by(_ENTRIES.number)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def status_of(spoken: Sequence[dict[str, Any]]) -> str:
    """Where an item stands after what was said of it."""
    if not spoken or spoken[-1]["state"] == verifications.NOT_VERIFIED:
        return queue.OPEN
    return queue.SECOND if spoken[-1]["state"] == UNSURE else queue.DONE


def _locked(connection: Connection, item_id: str) -> dict[str, Any]:
    query = sa.select(tables.QUEUE).where(_QUEUE.item_id == item_id).with_for_update()
    place = returning_one(connection, query)
    if place is None:
        raise Declined(UNKNOWN_ITEM, "no such item is in the queue")
    return place


def _is_there(connection: Connection, page: queue.Page, entry: Entry) -> bool:
    query = sa.select(tables.ENTRIES).where(_ENTRIES.entry_id == entry.entry_id)
    before = returning_one(connection, query)
    if before is None:
        return False
    said = entry.row() | {names.OPERATOR_ID: page.operator_id}
    if any(before[name] != value for name, value in said.items()):
        raise Declined(OTHER_ENTRY, "an entry with this id says something else")
    return True


def _check(page: queue.Page, place: dict[str, Any], spoken: Sequence[dict[str, Any]]) -> None:
    leased = (place["lease_until"] or "") > tables.now()
    if leased and place["lease_operator"] != page.operator_id:
        raise Declined(NOT_YOURS, "somebody else has this item by now")
    if place["status"] == queue.DONE:
        raise Declined(NOT_YOURS, "somebody has decided this item already")
    if place["status"] == queue.SECOND and any(
        each["state"] == UNSURE and each[names.OPERATOR_ID] == page.operator_id for each in spoken
    ):
        raise Declined(NOT_YOURS, "a second opinion is somebody else's")


def _check_undo(page: queue.Page, entry: Entry, spoken: Sequence[dict[str, Any]]) -> None:
    last = spoken[-1] if spoken else None
    if last is None or last["entry_id"] != entry.undoes:
        raise Declined(NOT_UNDOABLE, "this isn't the last that was said of the item")
    if last[names.OPERATOR_ID] != page.operator_id:
        raise Declined(NOT_UNDOABLE, "somebody else said this")


def _move(
    connection: Connection, page: queue.Page, entry: Entry, spoken: Sequence[dict[str, Any]]
) -> None:
    """Give the item back; who takes an entry back has the item again."""
    values: dict[str, Any] = {"status": status_of(spoken), **queue.FREE}
    if entry.state == UNDO:
        until = tables.in_seconds(queue.UNDO_SECONDS)
        values |= queue.lease(page, until)
    if entry.state == verifications.NOT_VERIFIED:
        values["deferred"] = _QUEUE.deferred + 1
    connection.execute(
        sa.update(tables.QUEUE).where(_QUEUE.item_id == entry.item_id).values(**values)
    )
