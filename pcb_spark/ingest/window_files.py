"""The file that says which reference is good when, read as strictly as files of verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcb_spark.core import names, validity
from pcb_spark.core.errors import InputError
from pcb_spark.ingest import verdict_csv
from pcb_spark.ingest.verdict_encoding import UnreadableTextError, decode
from pcb_spark.ingest.verdict_files import clean
from pcb_spark.ingest.verdict_form import FAULT, Form, Row, doubled, faulty_file, unreadable

if TYPE_CHECKING:
    from pcb_spark.ingest.verdict_csv import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Texts by column; ``FAULT``, the last, says why a row can't be used.

    Without a column ``reference`` there are no rows, and ``columns`` are those of the file.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str | None, ...]]


def parse(content: bytes, form: Form, *, where: str) -> Windows:
    """Parse a CSV file with the encoding and the separator of ``form``, or those that are certain.

    Raises
    ------
    InputError : nobody can say in which encoding it is.
    """
    own = Form(separator=form.separator, encoding=form.encoding)
    try:
        lines = verdict_csv.split_lines(decode(content, own.encoding))
    except UnreadableTextError as error:
        what = f"{where} can't be read"
        raise InputError(what, got=error, hint="save it as CSV in UTF-8") from None
    headers = verdict_csv.read_headers(lines, own)
    if not any(names.REFERENCE in header.names for header in headers):
        widest = max(headers, key=lambda header: len(header.names))
        return Windows(columns=tuple(dict.fromkeys(filter(None, widest.names))), rows=[])
    columns = (*validity.COLUMNS, FAULT)
    found = (record.row for record in verdict_csv.records(lines, own, _find_header))
    rows = [tuple(clean(row.get(name)) for name in columns) for row in found if row]
    return Windows(columns=columns, rows=rows)


def _find_header(lines: Sequence[str], form: Form) -> Header | Row:
    headers = verdict_csv.read_headers(lines, form)
    fitting = {h.names: h for h in reversed(headers) if names.REFERENCE in h.names}
    if len(fitting) > 1:
        return unreadable("its separator isn't certain; set ingest.verdict_separator")
    (header,) = fitting.values()
    twice = doubled(header.names)
    return faulty_file(f"two columns are named {twice}") if twice else header
