"""What operators say: entries that are only ever added, each once, whoever repeats a request.

The page names an entry before it sends it, so that a request whose answer was lost is sent again
and changes nothing. What has been answered is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, review, verifications
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
#: What is drawn for a second look.
_SECOND_LOOK: Final = "second_look"


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


def enter(engine: Engine, page: queue.Page, entry: Entry, *, second_looks: float = 0.0) -> None:
    """Store an entry; it is on the disk when this returns.

    Parameters
    ----------
    second_looks : share of the items, 0..1, that somebody else decides, too; drawn by a hash.

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
            _check_undo(page, entry, place, spoken)
            spoken.pop()
        else:
            _check(page, place, spoken)
            spoken.append(entry.row() | {names.OPERATOR_ID: page.operator_id})
        row = entry.row() | {names.OPERATOR_ID: page.operator_id, "entered_at": tables.now()}
        connection.execute(sa.insert(tables.ENTRIES), row)
        twice = review.unit(0, _SECOND_LOOK, entry.item_id) < second_looks
        _move(connection, page, entry, status_of(spoken, twice=twice))


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


def status_of(spoken: Sequence[dict[str, Any]], *, twice: bool) -> str:
    """Where an item stands after what was said of it.

    Parameters
    ----------
    twice : two people have to say something of it, though the first one was sure.
    """
    said = _opinions(spoken)
    if any(each[names.VERDICT] for each in said):
        people = {each[names.OPERATOR_ID] for each in said}
        return queue.AGAIN if twice and len(people) == 1 else queue.DONE
    return queue.SECOND if said else queue.OPEN


def _opinions(spoken: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was said without what only put an item off."""
    return [each for each in spoken if each["state"] != verifications.NOT_VERIFIED]


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
    if _is_elsewhere(page, place):
        raise Declined(NOT_YOURS, "somebody else has this item by now")
    if place["status"] == queue.DONE:
        raise Declined(NOT_YOURS, "somebody has decided this item already")
    if any(each[names.OPERATOR_ID] == page.operator_id for each in _opinions(spoken)):
        raise Declined(NOT_YOURS, "a second opinion is somebody else's")


def _is_elsewhere(page: queue.Page, place: dict[str, Any]) -> bool:
    leased = (place["lease_until"] or "") > tables.now()
    return leased and bool(place["lease_operator"] != page.operator_id)


def _check_undo(
    page: queue.Page, entry: Entry, place: dict[str, Any], spoken: Sequence[dict[str, Any]]
) -> None:
    last = spoken[-1] if spoken else None
    if last is None or last["entry_id"] != entry.undoes:
        raise Declined(NOT_UNDOABLE, "this isn't the last that was said of the item")
    if last[names.OPERATOR_ID] != page.operator_id:
        raise Declined(NOT_UNDOABLE, "somebody else said this")
    if _is_elsewhere(page, place):
        raise Declined(NOT_UNDOABLE, "somebody else has this item by now")


def _move(connection: Connection, page: queue.Page, entry: Entry, status: str) -> None:
    """Give the item back; who takes an entry back has the item again.

    One for a second look stays away from others for as long, so that the first can be taken back.
    """
    values: dict[str, Any] = {"status": status, **queue.FREE}
    if entry.state == UNDO or status == queue.AGAIN:
        until = tables.in_seconds(queue.UNDO_SECONDS)
        values |= queue.lease(page, until)
    if entry.state == verifications.NOT_VERIFIED:
        values["deferred"] = _QUEUE.deferred + 1
    connection.execute(
        sa.update(tables.QUEUE).where(_QUEUE.item_id == entry.item_id).values(**values)
    )
