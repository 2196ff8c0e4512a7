"""The queue: which item a page gets next, and that nobody else gets it.

An item is leased to one page of one operator. The lease ends when the page gives it back, or when
its time has passed; an operator's verdict counts as long as nobody else has the item by then. A
second opinion, and a second look of which nobody is told, are asked of somebody who hasn't said
anything of the item yet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import verifications
from pcb_spark.review import database, items, tables

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

OPEN: Final = "open"
SECOND: Final = "second"
AGAIN: Final = "again"
DONE: Final = "done"

_QUEUE, _ITEMS, _ENTRIES = tables.QUEUE.c, tables.ITEMS.c, tables.ENTRIES.c
FREE: Final = {"lease_page": None, "lease_operator": None, "lease_until": None}
#: A page that took an entry back has the item for so long before it asks for it again.
UNDO_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One open page of one operator, by his or her pseudonym."""

    page: str
    operator_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a page may show: nothing tells why an item is in the queue."""

    item_id: str
    line: str | None
    lot: str | None
    board_id: str
    position: str | None
    part_number: str | None
    second_opinion: bool
    pictures: items.Pictures


def load(engine: Engine, found: Sequence[items.Item]) -> int:
    """Put items into the queue, and known defects into their pool; how many were new."""
    boards: dict[str, str] = {}
    for item in found:
        boards[item.board_id] = min(boards.get(item.board_id, item.captured_at), item.captured_at)
    new = 0
    with engine.begin() as connection:
        for item in found:
            table = tables.KNOWN_DEFECTS if item.known_defect else tables.ITEMS
            if connection.scalar(sa.select(1).where(table.c.item_id == item.item_id)):
                continue
            connection.execute(sa.insert(table), _row(item))
            if not item.known_defect:
                connection.execute(sa.insert(tables.QUEUE), _place(item, boards[item.board_id]))
                new += 1
    return new


def grant(
    engine: Engine, page: Page, *, held: Collection[str], want: int, seconds: float
) -> tuple[list[Granted], list[str]]:
    """Lease items to a page, and renew the leases of those it holds.

    Parameters
    ----------
    held : what the page has, decided or not; it isn't given again.
    want : how many more it would like.

    Returns
    -------
    The new items, and which of ``held`` the page still has.
    """
    until = tables.in_seconds(seconds)
    with engine.begin() as connection:
        kept = _renewed(connection, page, held, until)
        chosen = _next(connection, page, held, want) if want else []
        if chosen:
            ids = [row["item_id"] for row in chosen]
            _update(connection, _QUEUE.item_id.in_(ids), lease(page, until))
    return [granted(row) for row in chosen], kept


def lease(page: Page, until: str) -> dict[str, str]:
    """The columns that say whose an item is."""
    return {"lease_page": page.page, "lease_operator": page.operator_id, "lease_until": until}


def release(engine: Engine, page: Page) -> None:
    """Give back what a page has."""
    mine = (_QUEUE.lease_page == page.page) & (_QUEUE.lease_operator == page.operator_id)
    with engine.begin() as connection:
        _update(connection, mine, FREE)


def left(engine: Engine) -> int:
    """How many items nobody has decided yet."""
    with database.reading(engine) as connection:
        count = sa.select(sa.func.count()).where(_QUEUE.status != DONE)
        return int(connection.scalar(count) or 0)


def pictures(engine: Engine, item_id: str) -> items.Pictures | None:
    """The pictures of an item, of a known defect, or of one that is shown under another name."""
    known, shown = tables.KNOWN_DEFECTS.c, tables.SHOWINGS.c
    of_known = sa.select(known.pictures).join_from(
        tables.KNOWN_DEFECTS, tables.SHOWINGS, known.item_id == shown.known_id
    )
    with database.reading(engine) as connection:
        found = connection.scalar(sa.select(_ITEMS.pictures).where(_ITEMS.item_id == item_id))
        found = found or connection.scalar(of_known.where(shown.item_id == item_id))
    return None if found is None else items.Pictures(**json.loads(found))


def _row(item: items.Item) -> dict[str, Any]:
    row = asdict(item) | {
        "pictures": json.dumps(asdict(item.pictures)),
        "loaded_at": tables.now(),
    }
    return {name: value for name, value in row.items() if name in _ITEMS}


def _place(item: items.Item, board_at: str) -> dict[str, Any]:
    return {
        "item_id": item.item_id, "status": OPEN, "deferred": 0, "board_at": board_at,
        "board_id": item.board_id, "certainty": item.certainty,
    }  # fmt: skip


def _renewed(connection: Connection, page: Page, held: Collection[str], until: str) -> list[str]:
    mine = (_QUEUE.lease_page == page.page) & _QUEUE.item_id.in_(held)
    _update(connection, mine, {"lease_until": until})
    return [row[0] for row in connection.execute(sa.select(_QUEUE.item_id).where(mine))]


def _next(
    connection: Connection, page: Page, held: Collection[str], want: int
) -> list[dict[str, Any]]:
    """Free items in their order; of second opinions and looks those of what others said."""
    free = (
        _QUEUE.lease_until.is_(None)
        | (_QUEUE.lease_until < tables.now())
        | (_QUEUE.lease_page == page.page)
    )
    later = tables.ENTRIES.alias()
    own = sa.exists().where(
        _ENTRIES.item_id == _QUEUE.item_id, _ENTRIES.operator_id == page.operator_id,
        ~sa.exists().where(later.c.undoes == _ENTRIES.entry_id), _ENTRIES.undoes.is_(None),
        _ENTRIES.state != verifications.NOT_VERIFIED,
    )  # fmt: skip
    wanted = (_QUEUE.status == OPEN) | (_QUEUE.status.in_((SECOND, AGAIN)) & ~own)
    query = (
        sa.select(_QUEUE.status, *tables.ITEMS.columns)
        .join_from(tables.QUEUE, tables.ITEMS, _QUEUE.item_id == _ITEMS.item_id)
        .where(wanted, free, _QUEUE.item_id.not_in(held))
        .order_by(
            _QUEUE.deferred, _QUEUE.board_at, _QUEUE.board_id, _QUEUE.certainty, _QUEUE.item_id
        )
        .limit(want)
        .with_for_update(skip_locked=True, of=tables.QUEUE)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _update(connection: Connection, where: Any, values: Mapping[str, Any]) -> None:
    connection.execute(sa.update(tables.QUEUE).where(where).values(**values))


def granted(row: Mapping[str, Any]) -> Granted:
    """What a page may show of a row of ``items`` with its ``status``."""
    return Granted(
        item_id=row["item_id"], line=row["line"], lot=row["lot"], board_id=row["board_id"],
        position=row["position"], part_number=row["part_number"],
        second_opinion=row["status"] == SECOND,
        pictures=items.Pictures(**json.loads(row["pictures"])),
    )  # fmt: skip
