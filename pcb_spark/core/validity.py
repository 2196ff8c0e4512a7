"""Which golden image is good for which part, and when, as ``references.csv`` of a drop says.

``ingest.reference_windows`` answers the same for a table of images; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.core.times import Reader, TimeFault

if TYPE_CHECKING:
    from pcb_spark.core.layouts import Traits

VALID_FROM: Final = "valid_from"
VALID_UNTIL: Final = "valid_until"
#: What a window may ask for; one of the first two it has to.
ASKED: Final = (names.PART_NUMBER, names.POSITION, names.LINE)
COLUMNS: Final = (names.REFERENCE, *ASKED, VALID_FROM, VALID_UNTIL)


def missing_column(where: str, found: Iterable[str]) -> InputError:
    """What to raise about a file without a column ``reference``."""
    return InputError(
        f"{where} has no column named reference",
        expected=f"a CSV header with {', '.join(COLUMNS)}",
        got=", ".join(found) or "an empty file",
        hint="correct the header; paths are relative to the drop",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A row: the path of a reference, what it asks for, and between which moments it is good."""

    reference: str
    asked: Mapping[str, str]
    valid_from: datetime | None
    valid_until: datetime | None

    def fits(self, traits: Traits) -> bool:
        """Say whether it is good for this image."""
        moment = traits.captured_at
        if moment is None and (self.valid_from or self.valid_until):
            return False
        begun = moment is None or self.valid_from is None or moment >= self.valid_from
        ended = moment is not None and self.valid_until is not None and moment >= self.valid_until
        wanted = all(getattr(traits, name) == value for name, value in self.asked.items())
        return begun and not ended and wanted


def windows(rows: Iterable[Mapping[str, str]], reader: Reader) -> list[Window]:
    """Give the usable ones of a file's rows, texts by column."""
    how = replace(reader, earliest=None)
    return [window for row in rows if (window := _window(row, how)) is not None]


def choose(offered: Iterable[Window], traits: Traits) -> str | None:
    """Give the reference of the window that asks for most; None of none, and of several."""
    fitting = [window for window in offered if window.fits(traits)]
    most = max((len(window.asked) for window in fitting), default=0)
    best = {window.reference for window in fitting if len(window.asked) == most}
    return best.pop() if len(best) == 1 else None


def _window(row: Mapping[str, str], reader: Reader) -> Window | None:
    """None where a row says nothing usable: ingest names such rows in the rejects."""
    asked = {name: row[name] for name in ASKED if row.get(name)}
    try:
        since, until = (
            reader.read(row[name]) if row.get(name) else None for name in (VALID_FROM, VALID_UNTIL)
        )
    except TimeFault:
        return None
    useless = not row.get(names.REFERENCE) or not asked.keys() & set(ASKED[:2])
    if useless or (since and until and since >= until):
        return None
    return Window(
        reference=row[names.REFERENCE], asked=asked, valid_from=since, valid_until=until
    )  # fmt: skip
