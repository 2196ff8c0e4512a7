"""What a file's path and the file itself tell of an image: line, lot, board, position, time.

Of several sources the one that knows best counts, column by column: a manifest or verdict file,
then the sidecar (both are joined in ``ingest``), then here the configured pattern, then EXIF (time
only), then folders named ``line=…``, ``lot=…``, ``date=…`` and a name ``<board>_<position>``. A day
may also be the whole name of a folder, ``2026-01-05`` or ``20260105``, or of three, ``2026/01/05``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import BinaryIO, Final

from pcb_spark.core import exif, names
from pcb_spark.core.times import DEFAULT_EARLIEST, Reader

_STEM: Final = re.compile(r"([^/]+?)(?:\.[^./]*)?$", re.DOTALL)
_BOARD_POSITION: Final = re.compile(r"(.+)_([^_]+)", re.DOTALL)
_FOLDER: Final = re.compile(r"(?:^|/)(line|lot|date)=([^/]+)(?=/)", re.IGNORECASE)
_DAY: Final = re.compile(r"(?:^|(?<=/))(\d{4})([-_.]?)(\d\d)\2(\d\d)(?=/)")
#: Three folders; Hive's way to name them as well.
_YEAR_MONTH_DAY: Final = re.compile(
    r"(?:^|(?<=/))(?:year=)?(\d{4})/(?:month=)?(\d\d?)/(?:day=)?(\d\d?)(?=/)", re.IGNORECASE
)
#: Where an image's time may stand, besides files that tell of it.
IN_NAME, IN_EXIF, IN_FOLDER = "ingest.pattern", "EXIF", "date folders"
#: What a sidecar's name ends in, for Python and Spark: an image's suffix and ``.json``.
SIDECAR: Final = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)\.json$"
_PICTURE: Final = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of an image; ``captured_at`` is in UTC.

    ``time_fault`` says of the source that knows the time best why it can't be read, and
    ``time_source`` which one that is.
    """

    line: str | None = None
    lot: str | None = None
    board_id: str
    position: str | None = None
    part_number: str | None = None
    captured_at: datetime | None = None
    time_fault: str | None = None
    time_source: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a drop names its files.

    Parameters
    ----------
    pattern : Python regex with groups out of ``GROUPS``, searched for in the path below the drop.
    time_format : of ``datetime.strptime``, for the group ``captured_at``; empty is ISO 8601.
    timezone : IANA name of the zone of times that name none.
    earliest : a time before this day can't be true.
    """

    pattern: str = ""
    time_format: str = ""
    timezone: str = "UTC"
    earliest: date = DEFAULT_EARLIEST

    def read(self, path: str, content: bytes | BinaryIO | None = None) -> Traits:
        """Read ``path``, below the drop, and the EXIF time of ``content`` where it is an image."""
        folders = {key.lower(): value for key, value in reversed(_FOLDER.findall(path))}
        named = self._named(path)
        board, position = _board_and_position(path)
        source, captured_at, time_fault = self._captured_at(
            path, named.get(names.CAPTURED_AT), content
        )
        return Traits(
            line=named.get(names.LINE) or folders.get("line"),
            lot=named.get(names.LOT) or folders.get("lot"),
            board_id=named.get(names.BOARD_ID) or board,
            position=named.get(names.POSITION) or position,
            part_number=named.get(names.PART_NUMBER),
            captured_at=captured_at,
            time_fault=time_fault,
            time_source=source,
        )

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def _named(self, path: str) -> dict[str, str]:
        found = self._compiled.search(path) if self.pattern else None
        return {k: v for k, v in found.groupdict().items() if v} if found else {}

    @cached_property
    def _reader(self) -> Reader:
        return Reader(timezone=self.timezone, earliest=self.earliest)

    @cached_property
    def _name_reader(self) -> Reader:
        formats = (self.time_format,) if self.time_format else ()
        return replace(self._reader, formats=formats, iso=not formats)

    def _captured_at(
        self, path: str, named: str | None, content: bytes | BinaryIO | None
    ) -> tuple[str | None, datetime | None, str | None]:
        """The best source that has a time, and the time, or why that one can't be read."""
        if named is not None:
            moment, fault = self._name_reader.judge(named)
            return IN_NAME, moment, fault and f"in the file's name {fault}"
        taken = exif.taken_at(content) if content else None
        if taken is not None:
            moment, fault = self._reader.judge(taken)
            return IN_EXIF, moment, fault and f"in EXIF {fault}"
        moment, fault = self._folder_day(path)
        return (IN_FOLDER if moment or fault else None), moment, fault

    def _folder_day(self, path: str) -> tuple[datetime | None, str | None]:
        named = [value for key, value in _FOLDER.findall(path) if key.lower() == "date"]
        days = dict.fromkeys(named or self._days(path))
        found = [self._reader.judge(day) for day in days]
        if len({moment for moment, _ in found}) > 1:
            return None, f"the folders name several days: {', '.join(days)}"
        moment, fault = found[0] if found else (None, None)
        return moment, fault and f"in the folder date= {fault}"

    def _days(self, path: str) -> list[str]:
        """Folders that are a day by all of their names; lots and serial numbers are none."""
        whole = ["-".join((year, month, day)) for year, _, month, day in _DAY.findall(path)]
        found = [*whole, *map("-".join, _YEAR_MONTH_DAY.findall(path))]
        return [day for day in found if self._reader.judge(day)[0]]


def is_picture(path: str) -> bool:
    """Say whether a file is named as an image is."""
    return _PICTURE.search(path) is not None


def is_sidecar(path: str) -> bool:
    """Say whether ``path`` is named like a sidecar: an image's name and ``.json``."""
    return re.search(SIDECAR, path) is not None


def _board_and_position(path: str) -> tuple[str, str | None]:
    found = _STEM.search(path)
    stem = found[1] if found else path
    parts = _BOARD_POSITION.fullmatch(stem)
    return (parts[1], parts[2]) if parts else (stem, None)
