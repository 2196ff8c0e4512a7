"""Parquet of verdicts as pandas, pyarrow and Spark write it, read by pyarrow to rows of text.

Spark itself refuses pandas' times in nanoseconds. A damaged file is one fault, also where it
crashes native code: each is read in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pcb_spark.core import names
from pcb_spark.ingest import isolation
from pcb_spark.ingest.verdict_form import (
    COLUMNS,
    NO_IMAGE_COLUMN,
    Form,
    Malformed,
    Row,
    doubled,
    faulty_file,
    names_images,
    unreadable,
)

_MAGIC: Final = b"PAR1"
_EPOCH: Final = datetime(1970, 1, 1)
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def parse(content: bytes, form: Form) -> Iterator[Row]:
    """The rows of a file, or one that says in ``FAULT`` why it can't be read."""
    if not content.startswith(_MAGIC):
        yield unreadable(f"no Parquet: it begins with {content[:8]!r}")
        return
    try:
        yield from isolation.call(lambda: list(rows(content, form)))
    except isolation.CrashedError as error:
        yield unreadable(f"damaged Parquet: it crashes the reader ({error})")
    except MemoryError:
        yield unreadable("damaged Parquet: it asks for more memory than there is")


def rows(content: bytes, form: Form) -> Iterator[Row]:
    """The same in this process, which a damaged file may crash."""
    import pyarrow as pa
    import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads
    from pyarrow import parquet

    place = "its end"
    try:
        file = parquet.ParquetFile(pa.BufferReader(content), coerce_int96_timestamp_unit="us")
        given = file.schema_arrow.names
        names = form.names(given)
        fault = _names_fault(names)
        if fault is not None:
            yield fault
            return
        wanted = {name: their for name, their in zip(names, given, strict=True) if name in COLUMNS}
        found: list[Row] = []
        for number in range(file.num_row_groups):
            place = f"row group {number + 1} of {file.num_row_groups}"
            group = file.read_row_group(number, columns=[*wanted.values()], use_threads=False)
            found.extend(_group_rows(group, wanted, _instants(file)))
    except (pa.ArrowException, OSError, ValueError, ArithmeticError) as error:
        yield unreadable(f"Parquet, {place}: {_first_line(error)}")
        return
    if len(found) != file.metadata.num_rows:
        yield faulty_file(f"{len(found)} rows in place of {file.metadata.num_rows}")
        return
    yield from found


def _names_fault(names: list[str]) -> Row | None:
    if not names_images(names):
        return unreadable(f"{NO_IMAGE_COLUMN}: {', '.join(names)}")
    twice = doubled(names)
    return faulty_file(f"two columns are named {twice}") if twice else None


def _instants(file: Any) -> set[str]:
    """The columns of the old type INT96, whose times are UTC though Parquet doesn't say so."""
    columns = [file.schema.column(number) for number in range(len(file.schema.names))]
    return {column.path for column in columns if column.physical_type == "INT96"}


def _group_rows(group: Any, wanted: dict[str, str], instants: set[str]) -> Iterator[Row]:
    group.validate(full=True)
    texts = [
        _texts(name, group.column(their), utc=their in instants) for name, their in wanted.items()
    ]
    for values in zip(*texts, strict=True):
        yield dict(zip(wanted, values, strict=True))


def _texts(name: str, column: Any, *, utc: bool) -> list[str | None]:
    """A column's values as text."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_timestamp(kind):
        zone = "Z" if utc or kind.tz else ""
        values = column.cast("int64").to_pylist()
        return _each(values, lambda v: _moment(v, _PER_SECOND[kind.unit]) + zone)
    if types.is_date32(kind):
        return _each(column.cast("int32").to_pylist(), _day)
    if name == names.DEFECTS and (types.is_list(kind) or types.is_large_list(kind)):
        return _each(column.to_pylist(), lambda v: "|".join(filter(None, map(_text, v))) or None)
    if types.is_nested(kind):
        raise Malformed(f"column {name} holds {kind} in place of text")
    return _each(column.to_pylist(), _text)


def _each(values: Iterable[Any], text: Callable[[Any], str | None]) -> list[str | None]:
    return [None if value is None else text(value) for value in values]


def _moment(count: int, per_second: int) -> str:
    """ISO 8601 of a count since 1970; what Python's years don't reach is the count itself."""
    try:
        moment = _EPOCH + timedelta(microseconds=count * 10**6 // per_second)
    except OverflowError:
        return f"{count}/{per_second} s since 1970"
    return moment.isoformat(timespec="microseconds")


def _day(count: int) -> str:
    try:
        return (_EPOCH + timedelta(days=count)).date().isoformat()
    except OverflowError:
        return f"{count} days since 1970"


def _text(value: Any) -> str | None:
    """One value as people write it: 41000.0 is 41000, not a number is nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, Decimal):
        return f"{value:f}" if value % 1 else f"{value:.0f}"
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return f"{value:.0f}"
    return str(value)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
