"""The verdicts of the store for others: rows as ``pcb-spark ingest`` reads them, and IPC-CFX."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, verifications
from pcb_spark.review import database, tables, verdicts

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_ENTRIES, _ITEMS = tables.ENTRIES.c, tables.ITEMS.c
_TRACEABILITY: Final = (
    names.LINE, names.LOT, names.BOARD_ID, names.POSITION, names.PART_NUMBER,
)  # fmt: skip
#: What a formula begins with, and what spreadsheets skip before one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def said(engine: Engine, since: str = "") -> Iterator[dict[str, Any]]:
    """Every verdict that wasn't taken back, with its item, in the order they were entered.

    Parameters
    ----------
    since : of entries from this moment on, as ``tables.text_of`` writes it.
    """
    query = (
        sa.select(tables.ENTRIES, *(c for c in tables.ITEMS.columns if c.name != "item_id"))
        .join_from(tables.ENTRIES, tables.ITEMS, _ENTRIES.item_id == _ITEMS.item_id)
        .where(
            _ENTRIES.verdict.is_not(None), _ENTRIES.entered_at >= since, ~verdicts.undone()
        )
        .order_by(_ENTRIES.number)
    )  # fmt: skip
    with database.reading(engine) as connection:
        for row in connection.execute(query).mappings():
            yield dict(row)


def row_of(entry: dict[str, Any]) -> dict[str, str | None]:
    """A row of a verdict file."""
    return {
        names.IMAGE: entry[names.SOURCE_URI],
        names.VERDICT: entry[names.VERDICT],
        names.DEFECTS: entry[names.DEFECTS],
        names.OPERATOR_ID: entry[names.OPERATOR_ID],
        names.VERIFIED_AT: entry["entered_at"],
    }


def message_of(entry: dict[str, Any]) -> dict[str, Any]:
    """A CFX message UnitsInspected of one verdict; the position is the reference designator."""
    where = {name: entry[name] for name in (names.POSITION, names.PART_NUMBER)}
    kinds = (entry[names.DEFECTS] or "").split("|")
    found = verifications.inspection(
        entry["entry_id"],
        position=entry[names.POSITION],
        ended=entry["entered_at"],
        passed=entry[names.VERDICT] == names.VERDICT_PASS,
        defects=[
            verifications.defect(kind or None, entry["state"], **where, comment=entry["comment"])
            for kind in kinds
        ],
    )
    inspector = {"OperatorIdentifier": entry[names.OPERATOR_ID]}
    sent = entry["entered_at"]
    return verifications.message(inspector, entry[names.BOARD_ID], [found], sent=sent)


def json_lines(values: Iterable[dict[str, Any]]) -> bytes:
    """Write values one a line."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def table(engine: Engine, since: str) -> Iterator[list[str]]:
    """Verdicts for a spreadsheet, with a header and without a name of anybody."""
    columns = (*_TRACEABILITY, names.VERDICT, "state", names.DEFECTS, "comment", "entered_at")
    yield list(columns)
    for entry in said(engine, since):
        yield [plain(entry[column]) for column in columns]


def plain(value: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text
