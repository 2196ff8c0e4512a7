"""The brake at the review page: a lead stops clearing of a line, and lets it go on.

``pipeline.clearing`` reads these beside its own table, so that the next decision heeds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.review import database, tables

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

STOP: Final = "stop"
RESUME: Final = "resume"


def give(engine: Engine, *, action: str, line: str | None, who: str, why: str) -> None:
    """Keep an order; ``line`` None is all lines."""
    row = {"said_at": tables.now(), "action": action, "line": line, "who": who, "why": why}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.ORDERS), row)


def given(engine: Engine) -> list[dict[str, Any]]:
    """Every order, in their order."""
    query = sa.select(tables.ORDERS).order_by(tables.ORDERS.c.number)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def lines(engine: Engine) -> list[str]:
    """The lines of which items came."""
    line = tables.ITEMS.c.line
    query = sa.select(line).where(line.is_not(None)).distinct().order_by(line)
    with database.reading(engine) as connection:
        return [row[0] for row in connection.execute(query)]


def stopped(engine: Engine) -> list[dict[str, Any]]:
    """The orders to stop that hold: what was said last of each line counts."""
    last = {order["line"]: order for order in given(engine)}
    return [order for order in last.values() if order["action"] == STOP]
