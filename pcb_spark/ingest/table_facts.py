"""In which form a verdict file is written: kind, encoding, separator, and columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pcb_spark.ingest import cfx, verdict_csv, verdict_json
from pcb_spark.ingest.verdict_encoding import UnreadableTextError, recognise
from pcb_spark.ingest.verdict_form import COLUMNS, Form, names_images

CSV, JSON, CFX, PARQUET = "CSV", "JSON", "IPC-CFX", "Parquet"
UNKNOWN_ENCODING: Final = "an encoding that nobody can tell"


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """A file of verdicts; ``columns`` are its own names, in its order.

    ``separators`` are those that may be its one: none where it isn't CSV, several where that isn't
    certain.
    """

    name: str
    kind: str
    rows: int
    encoding: str = ""
    separators: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def unread(self) -> list[str]:
        """Columns that nothing is read from."""
        return [c for c, r in zip(self.columns, self.read, strict=True) if c and r not in COLUMNS]

    @property
    def form(self) -> tuple[object, ...]:
        """What files of one form have in common."""
        return (self.kind, self.encoding, self.separators, self.columns)


def facts_of(name: str, content: bytes, form: Form, rows: int) -> TableFacts:
    """Describe one file as ``verdict_files.parse`` reads it."""
    lower = name.lower()
    if lower.endswith(".parquet"):
        columns = _parquet_columns(content)
        return _facts(name, PARQUET, rows, form, columns)
    is_json = lower.endswith((".json", ".jsonl", ".ndjson"))
    try:
        text, encoding = recognise(content, form.encoding, is_json=is_json)
    except UnreadableTextError:
        kind = JSON if is_json else CSV
        return TableFacts(name=name, kind=kind, rows=rows, encoding=UNKNOWN_ENCODING)
    if is_json:
        kind, columns = _json_columns(text)
        return _facts(name, kind, rows, form, columns, encoding)
    lines = verdict_csv.split_lines(text)
    plain = verdict_csv.read_headers(lines, Form(separator=form.separator))
    ours = verdict_csv.read_headers(lines, form)
    pairs = list(zip(plain, ours, strict=True))
    fitting = [pair for pair in pairs if names_images(pair[1].names)]
    chosen = fitting or [max(pairs, key=lambda pair: len(pair[0].names))]
    separators = {mine.names: mine.separator for _, mine in reversed(chosen)}
    return TableFacts(
        name=name, kind=CSV, rows=rows, encoding=encoding, separators=(*separators.values(),),
        columns=chosen[0][0].names, read=chosen[0][1].names,
    )  # fmt: skip


def _facts(
    name: str, kind: str, rows: int, form: Form, columns: Sequence[str], encoding: str = ""
) -> TableFacts:
    read = form.names(columns)
    return TableFacts(
        name=name, kind=kind, rows=rows, encoding=encoding, columns=(*columns,), read=(*read,)
    )


def _json_columns(text: str) -> tuple[str, list[str]]:
    """The kind of the first object of a file, and the members that any of its objects has."""
    members: dict[str, None] = {}
    for _, value in verdict_json.values(text):
        if cfx.is_message(value) and not members:
            return CFX, []
        if isinstance(value, dict):
            members |= dict.fromkeys(value)
    return JSON, list(members)


def _parquet_columns(content: bytes) -> list[str]:
    """The names of a file's columns; none where it is damaged."""
    import pyarrow as pa
    from pyarrow import parquet

    from pcb_spark.ingest import isolation

    try:
        return isolation.call(lambda: list(parquet.read_schema(pa.BufferReader(content)).names))
    except (isolation.CrashedError, pa.ArrowException, OSError, ValueError, MemoryError):
        return []


def quoted(text: str) -> str:
    """A text as TOML writes it, in one line of ASCII quotes."""
    return json.dumps(text, ensure_ascii=False)
