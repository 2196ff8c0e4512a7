"""Golden images that a lead approves of verified-good ones, as a drop's ``references.csv``."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, validity
from pcb_spark.review import database, items, tables, verdicts

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_ITEMS, _APPROVALS, _ENTRIES = tables.ITEMS.c, tables.APPROVALS.c, tables.ENTRIES.c
_MOST: Final = 60
_WINDOWS: Final = "references.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A verified-good image that is good as a reference from a day on, until another if any."""

    item_id: str
    valid_from: date
    valid_until: date | None
    why: str


def candidates(engine: Engine, position: str | None = None) -> list[dict[str, Any]]:
    """Verified-good items, the newest first; of one position where it is named."""
    query = (
        sa.select(tables.ITEMS)
        .where(
            _ITEMS.item_id.in_(_good()),
            _ITEMS.part_number.is_not(None) | _ITEMS.position.is_not(None),
        )
        .order_by(_ITEMS.captured_at.desc(), _ITEMS.item_id)
        .limit(_MOST)
    )
    if position:
        query = query.where(_ITEMS.position == position)
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def approve(engine: Engine, operator_id: str, approval: Approval) -> None:
    """Store an approval.

    Raises
    ------
    verdicts.Declined : nobody has found this item good.
    """
    with engine.begin() as connection:
        if not _is_good(connection, approval.item_id):
            raise verdicts.Declined(verdicts.UNKNOWN_ITEM, "nobody has found this image good")
        until = approval.valid_until
        row = {
            "item_id": approval.item_id, "valid_from": approval.valid_from.isoformat(),
            "valid_until": until.isoformat() if until else None, "why": approval.why,
            "operator_id": operator_id, "approved_at": tables.now(),
        }  # fmt: skip
        connection.execute(sa.insert(tables.APPROVALS), row)


def approved(engine: Engine) -> Iterator[dict[str, Any]]:
    """Every approval with its item, in their order."""
    query = (
        sa.select(tables.APPROVALS, *(c for c in tables.ITEMS.columns if c.name != "item_id"))
        .join_from(tables.APPROVALS, tables.ITEMS, _APPROVALS.item_id == _ITEMS.item_id)
        .order_by(_APPROVALS.number)
    )
    with database.reading(engine) as connection:
        for row in connection.execute(query).mappings():
            yield dict(row)


def archive(engine: Engine, folder: Path) -> bytes:
    """Write a .zip to be unpacked into a drop: the golden images, and ``references.csv``.

    Each image is the camera's own file, so that it has the size and the depth of those to come.

    Parameters
    ----------
    folder : of all queues, where the pictures are.
    """
    text, file = io.StringIO(), io.BytesIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(validity.COLUMNS)
    with zipfile.ZipFile(file, "w") as packed:
        for each in approved(engine):
            pictures = items.Pictures(**json.loads(each["pictures"]))
            picture = folder / (pictures.original or pictures.image)
            name = f"references/approved-{each['item_id']}{picture.suffix}"
            if picture.exists() and name not in packed.namelist():
                packed.write(picture, name)
            told = [each[column] for column in (*validity.ASKED, "valid_from", "valid_until")]
            rows.writerow([name, *told])
        packed.writestr(_WINDOWS, text.getvalue())
    return file.getvalue()


def _good() -> sa.Select[Any]:
    """Items that somebody has found good and nobody a defect."""
    bad = sa.select(_ENTRIES.item_id).where(
        _ENTRIES.verdict == names.VERDICT_FAIL, ~verdicts.undone()
    )
    return sa.select(_ENTRIES.item_id).where(
        _ENTRIES.verdict == names.VERDICT_PASS, ~verdicts.undone(), _ENTRIES.item_id.not_in(bad)
    )


def _is_good(connection: Connection, item_id: str) -> bool:
    query = _good().where(_ENTRIES.item_id == item_id)
    return connection.execute(query).first() is not None
