"""What a file's path and the file itself tell of an image: line, lot, board, position, time.

Of several sources the one that knows best counts, column by column: a manifest or verdict file,
then the sidecar (both are joined in ``ingest``), then here the configured pattern, then EXIF (time
only), then folders named ``line=…``, ``lot=…``, ``date=…`` and a name ``<board>_<position>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from pcb_spark.core import names
from pcb_spark.ingest import exif

_STEM: Final = re.compile(r"([^/]+?)(?:\.[^./]*)?$", re.DOTALL)
_BOARD_POSITION: Final = re.compile(r"(.+)_([^_]+)", re.DOTALL)
_FOLDER: Final = re.compile(r"(?:^|/)(line|lot|date)=([^/]+)(?=/)")
#: What a sidecar's name ends in, for Python and Spark: an image's suffix and ``.json``.
SIDECAR: Final = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)\.json$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of an image; ``captured_at`` is aware."""

    line: str | None = None
    lot: str | None = None
    board_id: str
    position: str | None = None
    part_number: str | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a drop names its files.

    Parameters
    ----------
    pattern : Python regex with groups out of ``GROUPS``, searched for in the path below the drop.
    time_format : of ``datetime.strptime``, for the group ``captured_at``; empty is ISO 8601.
    timezone : IANA name of the zone of times that name none.
    """

    pattern: str = ""
    time_format: str = ""
    timezone: str = "UTC"

    def read(self, path: str, content: bytes | None = None) -> Traits:
        """Read ``path``, below the drop, and the EXIF time of ``content`` where it is an image."""
        folders = dict(reversed(_FOLDER.findall(path)))
        named = self._named(path)
        board, position = _board_and_position(path)
        return Traits(
            line=named.get(names.LINE) or folders.get("line"),
            lot=named.get(names.LOT) or folders.get("lot"),
            board_id=named.get(names.BOARD_ID) or board,
            position=named.get(names.POSITION) or position,
            part_number=named.get(names.PART_NUMBER),
            captured_at=self._pattern_time(named.get(names.CAPTURED_AT))
            or self._aware(exif.taken_at(content) if content else None)
            or self._aware(_day(folders.get("date", ""))),
        )

    @cached_property
    def zone(self) -> tzinfo:
        """The zone of times that name none."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def _named(self, path: str) -> dict[str, str]:
        found = self._compiled.search(path) if self.pattern else None
        return {k: v for k, v in found.groupdict().items() if v} if found else {}

    def _pattern_time(self, text: str | None) -> datetime | None:
        if text is None:
            return None
        try:
            if self.time_format:
                return self._aware(datetime.strptime(text, self.time_format))
            return self._aware(datetime.fromisoformat(text))
        except ValueError:
            return None

    def _aware(self, moment: datetime | None) -> datetime | None:
        if moment is None or moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=self.zone)


def is_sidecar(path: str) -> bool:
    """Say whether ``path`` is named like a sidecar: an image's name and ``.json``."""
    return re.search(SIDECAR, path) is not None


def _day(text: str) -> datetime | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None


def _board_and_position(path: str) -> tuple[str, str | None]:
    found = _STEM.search(path)
    stem = found[1] if found else path
    parts = _BOARD_POSITION.fullmatch(stem)
    return (parts[1], parts[2]) if parts else (stem, None)
