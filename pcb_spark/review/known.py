"""Vigilance: whether anybody still looks. Known defects are mixed in, and no verdict comes of them.

Of a showing is kept whether the defect was caught and when, and not who saw it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, verifications
from pcb_spark.review import database, queue, tables
from pcb_spark.review.verdicts import NOT_UNDOABLE, UNDO, Declined, Entry

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_KNOWN, _SHOWINGS = tables.KNOWN_DEFECTS.c, tables.SHOWINGS.c
_ID_BYTES: Final = 16


def mix(
    engine: Engine,
    page: queue.Page,
    granted: Sequence[queue.Granted],
    rate: float,
    dice: random.Random,
) -> list[queue.Granted]:
    """Put known defects among items: before each of them one, with probability ``rate``."""
    mixed: list[queue.Granted] = []
    for item in granted:
        shown = _show(engine, page, dice) if dice.random() < rate else None
        mixed += [each for each in (shown, item) if each is not None]
    return mixed


def still_shown(engine: Engine, page: queue.Page, held: Collection[str]) -> list[str]:
    """Which of ``held`` are known defects that this page has."""
    query = sa.select(_SHOWINGS.item_id).where(
        _SHOWINGS.page == page.page, _SHOWINGS.item_id.in_(held)
    )
    with database.reading(engine) as connection:
        return [row[0] for row in connection.execute(query)]


def release(engine: Engine, page: queue.Page) -> None:
    """Forget what a page had and nobody answered."""
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.SHOWINGS).where(_SHOWINGS.page == page.page))


def answer(engine: Engine, page: queue.Page, entry: Entry) -> bool:
    """Take the answer to a known defect; False where the item is none.

    Raises
    ------
    Declined : it isn't this page's, or an answer that isn't there is taken back.
    """
    with engine.begin() as connection:
        query = sa.select(tables.SHOWINGS).where(_SHOWINGS.item_id == entry.item_id)
        shown = database.returning_one(connection, query.with_for_update())
        if shown is None:
            return False
        if entry.state == UNDO:
            _take_back(connection, page, entry, shown)
        elif shown["entry_id"] is None:
            values = {"caught": _caught(entry), "answered_at": tables.now(), "page": None}
            _change(connection, entry.item_id, values | {"entry_id": entry.entry_id})
        return True


def _caught(entry: Entry) -> bool | None:
    """Whether an answer catches a defect; None where it puts the answer off."""
    if entry.state == verifications.NOT_VERIFIED:
        return None
    return entry.verdict != names.VERDICT_PASS


def caught(engine: Engine, since: str) -> tuple[int, int]:
    """How many known defects were caught since a moment, and how many were answered."""
    query = sa.select(
        sa.func.count(sa.case((_SHOWINGS.caught, 1))), sa.func.count(_SHOWINGS.caught)
    ).where(_SHOWINGS.answered_at >= since)
    with database.reading(engine) as connection:
        found, answered = connection.execute(query).one()
    return int(found), int(answered)


def _show(engine: Engine, page: queue.Page, dice: random.Random) -> queue.Granted | None:
    with engine.begin() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(tables.KNOWN_DEFECTS))
        if not count:
            return None
        query = sa.select(tables.KNOWN_DEFECTS).order_by(_KNOWN.item_id)
        row: dict[str, Any] | None = database.returning_one(
            connection, query.offset(dice.randrange(count)).limit(1)
        )
        assert row is not None
        item_id = secrets.token_hex(_ID_BYTES)
        showing = {"item_id": item_id, "known_id": row["item_id"], "page": page.page}
        connection.execute(sa.insert(tables.SHOWINGS), showing | {"shown_at": tables.now()})
    return queue.granted(row | {"item_id": item_id, "status": queue.OPEN})


def _take_back(
    connection: Connection, page: queue.Page, entry: Entry, shown: dict[str, Any]
) -> None:
    if shown["entry_id"] is None and shown["page"] == page.page:
        return  # the same request, once more
    if shown["entry_id"] != entry.undoes:
        raise Declined(NOT_UNDOABLE, "this isn't the last that was said of the item")
    values = {"caught": None, "answered_at": None, "entry_id": None, "page": page.page}
    _change(connection, entry.item_id, values)


def _change(connection: Connection, item_id: str, values: dict[str, Any]) -> None:
    connection.execute(
        sa.update(tables.SHOWINGS).where(_SHOWINGS.item_id == item_id).values(**values)
    )
