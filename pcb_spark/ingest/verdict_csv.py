"""CSV of verdicts, read strictly: what isn't a row of the header's columns is told, not guessed.

Python's csv takes an open quotation mark for a reason to swallow what follows. So the lines that
hold something are counted beside it, and every one of them ends in a row or in a fault.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pcb_spark.core import names
from pcb_spark.ingest.verdict_form import (
    COLUMNS,
    NO_IMAGE_COLUMN,
    Form,
    Row,
    doubled,
    faulty_file,
    faulty_row,
    names_images,
    unreadable,
)

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_DECLARED: Final = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
_SEPARATORS: Final = (",", ";", "\t", "|")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PICTURE: Final = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp)\b", re.IGNORECASE)
_ONE_LINE: Final = {*COLUMNS} - {names.DEFECTS}
_INDEX: Final = re.compile(r"\s*\d*\s*")
#: What keeps Excel from taking an id for a number.
_FORMULA: Final = re.compile(r'\s*="([^"]*)"\s*')


@dataclass(frozen=True, slots=True)
class Record:
    """What became of the lines ``first`` to ``last`` of a file, which count from 1."""

    row: Row
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Header:
    """Our names of a file's columns, their separator, and the header's last line."""

    names: tuple[str, ...]
    separator: str
    last: int


FindHeader = Callable[[Sequence[str], Form], Header | Row]


def parse(text: str, form: Form) -> Iterator[Row]:
    """The rows of a file; those that can't be used say so in ``FAULT``."""
    lines = split_lines(text)
    told = 0
    for record in records(lines, form):
        told += count_filled(lines[record.first - 1 : record.last])
        if record.row:
            yield record.row
    filled = count_filled(lines)
    if told != filled:
        yield faulty_file(f"{filled - told} of {filled} lines became no row")


def split_lines(text: str) -> list[str]:
    """The lines of a text with their ends, which are those of Windows, Unix and the old Mac."""
    return _LINE.findall(text)


def count_filled(lines: Iterable[str]) -> int:
    """How many lines hold more than separators, quotation marks and blanks."""
    return sum(1 for line in lines if line.strip(',;|" \t\r\n'))


def records(
    lines: Sequence[str], form: Form, find_header: FindHeader | None = None
) -> Iterator[Record]:
    """What became of each filled line, in order; the header's record has an empty row.

    A row whose value holds line breaks is one record of several lines.

    Parameters
    ----------
    find_header : says which header it is, or why it is none; without one that of verdicts.
    """
    header = (find_header or _find_header)(lines, form)
    if not isinstance(header, Header):
        yield Record(header, 1, len(lines))
        return
    yield Record({}, 1, header.last)
    reader = csv.reader(iter(lines[header.last :]), delimiter=header.separator, strict=True)
    last = header.last
    while last < len(lines):
        first = last + 1
        try:
            values: list[str] | str = next(reader)
        except csv.Error as error:
            values = str(error)
        last = header.last + reader.line_num
        span = lines[first - 1 : last]
        if isinstance(values, str) and not _ends_where_it_begins(span):
            yield from _lost(lines, first, values)
            return
        if count_filled(span):
            yield from _record(values, span, first, header)


def _record(
    values: list[str] | str, span: Sequence[str], first: int, header: Header
) -> Iterator[Record]:
    what = values if isinstance(values, str) else _fault(values, header)
    last = first + len(span) - 1
    if what is None:
        row: Row = {n: _text(v) for n, v in zip(header.names, values, strict=True) if n}
        yield Record(row, first, last)
        return
    within = f" (of the row in lines {first} to {last})" if len(span) > 1 else ""
    for number, line in enumerate(span, start=first):
        if count_filled([line]):
            yield Record(faulty_row(f"line {number}{within}: {what}"), number, number)


def _text(value: str) -> str:
    """A value as it is meant: ="00123" is 00123."""
    found = _FORMULA.fullmatch(value)
    return found[1] if found else value


def _fault(values: list[str], header: Header) -> str | None:
    """Why these values are none of the header's columns."""
    wanted = len(header.names)
    if len(values) != wanted:
        return f"{len(values)} fields, the header has {wanted}"
    for name, value in zip(header.names, values, strict=True):
        swallowed = split_lines(value.strip())[1:]
        if swallowed and (name in _ONE_LINE or any(_is_like_a_row(o, header) for o in swallowed)):
            return "a quotation mark that isn't closed where it should be"
    if _CONTROL.search("".join(values)):
        return "control characters in place of text"
    for place, (name, value) in enumerate(zip(header.names, values, strict=True)):
        is_index = place == 0 and _INDEX.fullmatch(value)
        if not name and value.strip() and not is_index:
            return f"column {place + 1} has no name in the header, and holds {value.strip()[:40]}"
    return None


def _is_like_a_row(line: str, header: Header) -> bool:
    """Say whether a line inside a value was one of the file's rows, rather than somebody's note."""
    separators = line.count(header.separator)
    return separators >= max(1, len(header.names) - 1) or _PICTURE.search(line) is not None


def _ends_where_it_begins(span: Sequence[str]) -> bool:
    """Say whether a broken row leaves no quotation mark open that later lines might close."""
    return len(span) == 1 and span[0].count('"') % 2 == 0


def _lost(lines: Sequence[str], first: int, what: str) -> Iterator[Record]:
    """Where a quotation mark is open nobody knows what is a row."""
    for number, line in enumerate(lines[first - 1 :], start=first):
        if count_filled([line]):
            told = f"line {number}: not read, since a quotation mark in line {first} isn't closed"
            yield Record(faulty_file(f"{told} ({what})"), number, number)


def _find_header(lines: Sequence[str], form: Form) -> Header | Row:
    """The header, read with the one separator that fits; else why there is none."""
    found = read_headers(lines, form)
    fitting = {header.names: header for header in reversed(found) if names_images(header.names)}
    if len(fitting) > 1:
        return unreadable("its separator isn't certain; set ingest.verdict_separator")
    if not fitting:
        widest = max(found, key=lambda header: len(header.names))
        return unreadable(f"{NO_IMAGE_COLUMN}: {', '.join(widest.names) or 'an empty file'}")
    (header,) = fitting.values()
    twice = doubled(header.names)
    return faulty_file(f"two columns are named {twice}") if twice else header


def read_headers(lines: Sequence[str], form: Form) -> list[Header]:
    """The header by each separator that it may have."""
    declared = _DECLARED.fullmatch(lines[0]) if lines else None
    skipped = 1 if declared else 0
    while skipped < len(lines) and not count_filled([lines[skipped]]):
        skipped += 1
    choices = [declared[1]] if declared else [form.separator] if form.separator else _SEPARATORS
    return [_read_header(lines, skipped, choice, form) for choice in choices]


def _read_header(lines: Sequence[str], skipped: int, separator: str, form: Form) -> Header:
    reader = csv.reader(iter(lines[skipped:]), delimiter=separator, strict=True)
    try:
        cells = next(reader, [])
    except csv.Error:
        cells = []
    return Header(tuple(form.names(cells)), separator, skipped + reader.line_num)
