"""Times as plants write them: one reader for verdict files, sidecars, names, folders and EXIF.

ISO 8601 in its basic and its extended form, by month, week or day of the year, the date also with
EXIF's colons; what else a plant writes is told by formats of ``datetime.strptime``. Offsets and Z
are zones. Abbreviations aren't: CST is Chicago, Shanghai or Havana. A time without a zone is one of
the plant's: of an hour that the clock shows twice the first counts, and one that it leaves out lies
as far after it as it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

#: Cameras with an empty battery begin long before it, spreadsheets and databases as well.
DEFAULT_EARLIEST: Final = date(2000, 1, 1)

_DATE: Final = r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|(\d\d)(\d\d)|:(\d\d):(\d\d))"
_CLOCK: Final = (
    r"(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?|(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?)"
)
_ZONE: Final = r"([Zz]|[+-]\d{1,2}(?::\d\d)?|[+-]\d{4})"
_ISO: Final = re.compile(rf"{_DATE}(?:(?:[Tt]| +){_CLOCK}(?: *{_ZONE})?)?", re.ASCII)
#: Days of a year's weeks, 2026-W02-1, and of the year itself, 2026-005.
_WEEKDAY: Final = re.compile(r"(\d{4})(-?)W(\d\d)\2([1-7])(?!\d)", re.ASCII)
_YEARDAY: Final = re.compile(r"(\d{4})-(\d{3})(?![\d:-])", re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(\d{1,2}):?(\d\d)?", re.ASCII)
#: A clock, and behind it a word that is neither half of the day.
_ABBREVIATION: Final = re.compile(r"\d{1,2}:\d\d.*?\s*\b(?!(?:am|pm|z)\b)([a-z][a-z/_]+)\)?$", re.I)
_DIRECTIVE: Final = re.compile(r"%(.)")
_IN_UTC: Final = ("Z", "UTC", "GMT")
_SAMPLE: Final = datetime(2026, 11, 23, 17, 45, 56)
#: From here on a zone may push the day into a year of five digits; databases mean "never" by it.
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


class TimeFault(ValueError):
    """A text that is no time; the message quotes it and says why."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How a plant writes its times.

    Parameters
    ----------
    timezone : IANA name of the zone of times that name none.
    formats : of ``datetime.strptime``; they count before ISO 8601.
    iso : whether ISO 8601 is read besides.
    earliest : a time before this day, of the plant's zone, can't be true; None leaves that open.
    """

    timezone: str = "UTC"
    formats: tuple[str, ...] = ()
    iso: bool = True
    earliest: date | None = DEFAULT_EARLIEST

    def read(self, text: str) -> datetime:
        """Read one time; the answer is in UTC.

        Raises
        ------
        TimeFault : it can't be read, formats read it differently, or it lies before ``earliest``.
        """
        text = text.strip()
        readings = {moment for moment in map(self._formatted(text), self.formats) if moment}
        if len(readings) > 1:
            raise TimeFault(f"{text!r} is a different time in each of several formats")
        moment = readings.pop() if readings else self._iso(text) if self.iso else None
        if moment is None:
            raise TimeFault(f"{text!r} {self._why_unread(text)}")
        if self.earliest and moment < datetime.combine(self.earliest, time(), self.zone):
            raise TimeFault(f"{text!r} lies before {self.earliest}, the earliest that can be true")
        if self.earliest and moment >= _NEVER:
            raise TimeFault(f"{text!r} lies in a year that means never")
        return moment

    def judge(self, text: str | None) -> tuple[datetime | None, str | None]:
        """The time, or why it can't be read; neither where there is no text."""
        if text is None:
            return None, None
        try:
            return self.read(text), None
        except TimeFault as fault:
            return None, str(fault)

    @cached_property
    def zone(self) -> tzinfo:
        """The zone of times that name none."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)

    def _formatted(self, text: str) -> Callable[[str], datetime | None]:
        def read(form: str) -> datetime | None:
            try:
                moment = datetime.strptime(text, form)
            except ValueError:
                return None
            return self._in_utc(moment.replace(tzinfo=UTC) if form.endswith(_IN_UTC) else moment)

        return read

    def _iso(self, text: str) -> datetime | None:
        found = _ISO.fullmatch(_by_month(text.replace("\u2212", "-")))
        if found is None:
            return None
        *numbers, zone = found.groups()
        year, month, day = (int(part) for part in numbers[:7] if part)
        clock = [part for part in numbers[7:] if part] + ["0"] * 4
        hour, minute, second, micros = map(int, (*clock[:3], clock[3][:6].ljust(6, "0")))
        try:
            is_end_of_day = (hour, minute, second, micros) == (24, 0, 0, 0)
            hour = 0 if is_end_of_day else hour
            moment = datetime(year, month, day, hour, minute, second, micros, _offset(zone))
            moment += timedelta(days=is_end_of_day)
        except (ValueError, OverflowError):
            return None
        return self._in_utc(moment)

    def _in_utc(self, moment: datetime) -> datetime:
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=self.zone)
        try:
            return zoned.astimezone(UTC)
        except OverflowError:  # the first hours of the year 1, the last ones of 9999
            return zoned.replace(tzinfo=UTC)

    def _why_unread(self, text: str) -> str:
        zone = _ABBREVIATION.search(text)
        if zone:
            return f"names a zone as {zone[1]}, which may be several; expected an offset or Z"
        if self.formats:
            return f"fits none of {', '.join(self.formats)}" + (" nor ISO 8601" if self.iso else "")
        return "is no time in ISO 8601"


def _by_month(text: str) -> str:
    """A date by week or by day of the year as one by month; whatever else as it is."""
    week, day = _WEEKDAY.match(text), _YEARDAY.match(text)
    try:
        if week:
            found = date.fromisocalendar(int(week[1]), int(week[3]), int(week[4]))
            return f"{found}{text[week.end() :]}"
        if day:
            found = date(int(day[1]), 1, 1) + timedelta(days=int(day[2]) - 1)
            return f"{found}{text[day.end() :]}" if found.year == int(day[1]) else text
    except (ValueError, OverflowError):
        pass
    return text


def _offset(zone: str | None) -> tzinfo | None:
    """Raises ValueError for one of a day or more, or of more than 59 minutes."""
    if zone is None or zone in "Zz":
        return UTC if zone else None
    found = _OFFSET.fullmatch(zone)
    sign, hours, minutes = found.groups() if found else ("+", "99", "0")
    time(minute=int(minutes or 0))
    ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-ahead if sign == "-" else ahead)


def why_unusable(form: str) -> str | None:
    """What is wrong with a format of ``strptime``: it has to tell one day, and its hour in full."""
    directives = set(_DIRECTIVE.findall(form))
    if "Z" in directives:
        return "%Z reads the names of this machine's zone only; write %z for an offset"
    if "I" in directives and "p" not in directives:
        return "%I is half a day without %p"
    try:
        parsed = datetime.strptime(_SAMPLE.replace(tzinfo=UTC).strftime(form), form)
    except ValueError as error:
        return str(error)
    return None if parsed.date() == _SAMPLE.date() else "it tells no year, month and day"
