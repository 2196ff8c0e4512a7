"""What was decided of a board's flags, for the AOI and the MES: CFX, CSV or JSON, a file a board.

A flag is cleared, or it goes to an operator. Why, and with which score, isn't told: nobody at the
line may know which boards are control boards.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pcb_spark.core import names, verifications
from pcb_spark.review import exports

CLEARED: Final = "cleared"
OPERATOR: Final = "operator"

_LONGEST: Final = 120  # characters of a file's name, of 255 bytes that a disk takes
_COLUMNS: Final = (
    names.BOARD_ID, names.POSITION, names.PART_NUMBER, names.LINE, names.LOT, names.CAPTURED_AT,
    names.SOURCE_URI, "goes_to", "decided_at", names.MODEL_VERSION,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What was decided of one image; ``goes_to`` is ``CLEARED`` or ``OPERATOR``."""

    image_id: str
    board_id: str
    position: str | None
    part_number: str | None
    line: str | None
    lot: str | None
    captured_at: datetime | None
    source_uri: str | None
    goes_to: str
    decided_at: datetime
    model_version: str


def as_cfx(board_id: str, flags: Sequence[Flag]) -> bytes:
    """A CFX message: what was cleared is rejected as a defect, all else not verified yet."""
    sent = max(flag.decided_at for flag in flags).isoformat()
    found = [_inspection(flag) for flag in flags]
    return _json(verifications.message(verifications.GATE, board_id, found, sent=sent))


def _inspection(flag: Flag) -> dict[str, Any]:
    cleared = flag.goes_to == CLEARED
    said = verifications.REJECTED if cleared else verifications.NOT_VERIFIED
    where = {"position": flag.position, "part_number": flag.part_number}
    return verifications.inspection(
        flag.image_id,
        position=flag.position,
        ended=flag.decided_at.isoformat(),
        passed=cleared,
        defects=[verifications.defect(None, said, **where)],
    )


def as_json(board_id: str, flags: Sequence[Flag]) -> bytes:
    """An object with the board and a list of its flags."""
    return _json({names.BOARD_ID: board_id, "flags": [_told(flag) for flag in flags]})


def as_csv(_board_id: str, flags: Sequence[Flag]) -> bytes:
    """A row a flag, with a header; no cell is a formula."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for flag in flags:
        told = _told(flag)
        rows.writerow([exports.plain(told[column]) for column in _COLUMNS])
    return text.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Form:
    """How a board is written, and what its file's name ends with."""

    write: Callable[[str, Sequence[Flag]], bytes]
    suffix: str


FORMS: Final[Mapping[str, Form]] = {
    "cfx": Form(as_cfx, ".json"),
    "csv": Form(as_csv, ".csv"),
    "json": Form(as_json, ".json"),
}


def file_names(boards: Iterable[str]) -> dict[str, str]:
    """Names that every disk takes and tells apart, by board, without a suffix."""
    quoted = {board: quote(board, safe=" ").replace("~", "%7E") for board in boards}
    alike = Counter(name.casefold() for name in quoted.values())
    return {
        board: f"{name[:_LONGEST]}-{hashlib.sha256(board.encode()).hexdigest()[:12]}"
        if len(name) > _LONGEST or alike[name.casefold()] > 1
        else name
        for board, name in quoted.items()
    }


def _told(flag: Flag) -> dict[str, str | None]:
    moments = {
        name: value.isoformat() if value else None
        for name, value in ((names.CAPTURED_AT, flag.captured_at), ("decided_at", flag.decided_at))
    }
    texts = {n: getattr(flag, n) for n in (names.IMAGE_ID, *_COLUMNS) if n not in moments}
    return texts | moments


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
