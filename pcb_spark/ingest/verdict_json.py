"""JSON of verdicts: one value a file, an array of them, or one a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from pcb_spark.core import names
from pcb_spark.ingest import cfx
from pcb_spark.ingest.verdict_csv import split_lines
from pcb_spark.ingest.verdict_form import (
    COLUMNS,
    FAULT,
    FAULT_REASON,
    MESSAGE,
    Form,
    Malformed,
    Row,
    doubled,
    faulty_row,
    unreadable,
)

#: Digits of a number that is still written out.
_LONGEST: Final = 40


class _Doubled(dict[str, Any]):
    """An object with two members of one name, of which any reader drops one."""


def parse(text: str, form: Form) -> Iterator[Row]:
    """The rows of a file; those that can't be used say so in ``FAULT``."""
    return map(_encodable, _parse(text, form))


def _encodable(row: Row) -> Row:
    """JSON may escape half of a character, which no table can hold."""
    try:
        "".join(text for text in row.values() if text).encode()
    except UnicodeEncodeError as error:
        what = row.get(FAULT) or f"half of a character: {error.object[error.start]!a}"
        return faulty_row(what.encode("ascii", "backslashreplace").decode())
    return row


def _parse(text: str, form: Form) -> Iterator[Row]:
    silent: Counter[str] = Counter()
    for number, (place, value) in enumerate(values(text)):
        if isinstance(value, ValueError):
            yield unreadable(f"{place}: {value}" if place else str(value))
        elif cfx.is_message(value):
            yield from _from_message(value, f"{place}: " if place else "", str(number), silent)
        else:
            yield _from_value(value, f"{place}: " if place else "", form)
    for name, count in silent.items():
        what = f"{count} messages {name} hold no verdict"
        yield {FAULT_REASON: names.MESSAGE_WITHOUT_VERDICT, FAULT: what}


def values(text: str) -> Iterator[tuple[str, Any]]:
    """Each value with its place in the file; a ValueError in place of one that is no JSON."""
    whole = _load(text)
    if isinstance(whole, list):
        yield from ((f"item {n}", value) for n, value in enumerate(whole, start=1))
        return
    lines = [(n, line) for n, line in enumerate(split_lines(text), start=1) if line.strip()]
    if not isinstance(whole, ValueError) or len(lines) < 2:
        yield "", whole
        return
    found = [(f"line {number}", _load(line)) for number, line in lines]
    if any(isinstance(value, dict) and value for _, value in found):
        yield from found
    else:
        yield "", whole


def _load(text: str) -> Any:
    """A JSON value, its numbers as text; a ValueError where it is none."""
    try:
        return json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_constant,
            object_pairs_hook=_object,
        )  # fmt: skip
    except ValueError as error:
        return error
    except RecursionError:
        return ValueError("it is nested too deeply")


def _number(text: str) -> str:
    """A number as people write it: 41000.0 is 41000."""
    try:
        found = Decimal(text)
    except ArithmeticError:
        return text
    if abs(found.adjusted()) > _LONGEST or found != found.to_integral_value():
        return text
    return f"{found.to_integral_value():f}"


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    return found if len(found) == len(members) else _Doubled(found)


def _has_doubled(value: Any) -> bool:
    """Look through a value without recursion, which a file's depth could exhaust."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _Doubled):
            return True
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return False


def _from_message(
    message: dict[str, Any], where: str, number: str, silent: Counter[str]
) -> Iterator[Row]:
    if _has_doubled(message):
        yield faulty_row(f"{where}a message in which a name stands twice")
        return
    try:
        name = cfx.without_verdict(message)
        if name is not None:
            silent[name] += 1
        for row in cfx.rows(message):
            fault = row.get(FAULT)
            yield row | ({MESSAGE: number} if fault is None else {FAULT: f"{where}{fault}"})
    except Malformed as error:
        yield faulty_row(f"{where}{error}")


def _from_value(value: Any, where: str, form: Form) -> Row:
    if not isinstance(value, dict):
        return unreadable(f"a JSON {type(value).__name__} in place of an object")
    names = form.names(value)
    twice = doubled(names)
    if twice or _has_doubled(value):
        return faulty_row(f"{where}{twice or 'a name'} stands twice")
    try:
        given = zip(names, value.values(), strict=True)
        return {name: _text(name, one) for name, one in given if name in COLUMNS}
    except Malformed as error:
        return faulty_row(f"{where}{error}")


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == names.DEFECTS and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return "|".join(value)
    raise Malformed(f"{name} is a JSON {type(value).__name__} in place of a text")
