"""Mutated files of verdicts, and a worker process that parses them.

``python -m tests.fuzzing_verdicts SEED FIRST COUNT PROGRESS`` parses the files numbered FIRST to
FIRST + COUNT - 1 with ``verdict_files.parse`` and writes a report as JSON; see ``tests.fuzzing``.
"""

from __future__ import annotations

import faulthandler
import functools
import io
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from pcb_spark.core import names
from pcb_spark.ingest import cfx, verdict_csv, verdict_files, verdict_json, verdict_paths
from pcb_spark.ingest.verdict_encoding import UnreadableTextError, decode
from pcb_spark.ingest.verdict_form import Form, Row
from tests.core.fuzzing import MUTATIONS, peak_resident_mb

LONGEST = 5  # s, for one file
ROOT = "file:/data/drop"
FOLDER = "images/line=L1/date=2026-01-05"
NAMED = tuple(f"{FOLDER}/B{board}_P{place}.jpg" for board in range(3) for place in range(4))
#: Images that no file names, and whose names are not a few bytes away from one that a file does.
OTHERS = tuple(f"images/line=QQZ/date=2031-12-24/Prüfling{n}77K_XY{n}.tiff" for n in range(4))
_BOARDS = {f"B{board}" for board in range(3)}
_WORDS = ("pass", "fail", "OK", "NG", "", "false call", "TRUE")
_FILLED = re.compile(r'[^\s,;|"]')


@dataclass(kw_only=True)
class Report:
    """What a worker found; ``faults`` says case and what should not have been."""

    files: int = 0
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    peak_mb: int = 0


def _table(separator: str = ",", *, quoted: bool = False, first: str = "") -> str:
    lines = [separator.join(("image", "verdict", "defects", "operator_id", "verified_at", "note"))]
    for number, path in enumerate(NAMED):
        note = f'"two\nlines, of {number} words"' if number % 5 == 0 else f"n{number}"
        row = (path, _WORDS[number % 7], "open|short", "Müller", "2026-01-05T09:00:00Z")
        cells = [f'"{cell}"' if quoted else cell for cell in row]
        lines.append(separator.join((*cells, note)))
    return first + "\n".join(lines) + "\n"


def _objects() -> list[dict[str, Any]]:
    return [
        {"image": path, "verdict": _WORDS[n % 7] or None, "lot": n, "defects": ["open", "short"]}
        for n, path in enumerate(NAMED)
    ]


def _message(board: str, *, name: str = cfx.MESSAGE) -> dict[str, Any]:
    inspections = [
        {
            "InspectionName": f"INSPECT_P{place}",
            "Result": "Failed",
            "DefectsFound": [
                {
                    "DefectCode": 112,
                    "ComponentOfInterest": {"ReferenceDesignator": f"P{place}.1"},
                    "Verification": said,
                }
            ],
        }
        for place, said in enumerate(("DefectConfirmed", "DefectRejected", "DefectAccepted", "0"))
    ]
    unit = {"UnitIdentifier": board, "UnitPositionNumber": 1, "Inspections": inspections}
    body = {"Inspector": {"OperatorIdentifier": "Müller"}, "InspectedUnits": [unit]}
    return {"MessageName": name, "TimeStamp": "2026-01-05T09:00:00+01:00", "MessageBody": body}


def _lines(values: Sequence[object]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


@functools.cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Names and bytes of sound files."""
    sidecar = {"line": "L1", "verdict": "fail", "captured_at": "2026-01-05T07:00:00"}
    tested = _message("B0", name="CFX.Production.TestAndInspection.UnitsTested")
    return (
        ("comma.csv", _table().encode()),
        ("quoted.csv", _table(quoted=True).encode("utf-8-sig")),
        ("excel.csv", _table(";").replace("/", "\\").replace("\n", "\r\n").encode("cp1252")),
        ("unicode.csv", _table("\t").encode("utf-16")),
        ("declared.csv", _table(";", first="sep=;\n").encode()),
        ("lines.jsonl", _lines(_objects())),
        ("array.json", json.dumps(_objects(), indent=1).encode()),
        ("message.json", json.dumps(_message("B1"), indent=2).encode()),
        ("messages.jsonl", _lines([_message(board) for board in sorted(_BOARDS)] + [tested])),
        ("B0_P0.jpg.json", json.dumps(sidecar).encode()),
    )


@functools.cache
def tables() -> tuple[bytes, ...]:
    """Sound Parquet files of ``NAMED``, with and without dictionaries, pages and row groups."""
    columns = {
        "image": list(NAMED),
        "verdict": [_WORDS[n % 2] for n in range(len(NAMED))],
        "board_id": [41000.0 + n for n in range(len(NAMED))],
        "verified_at": pa.array(range(len(NAMED)), pa.timestamp("ns")),
        "defects": [["open"]] * len(NAMED),
    }
    options: tuple[dict[str, Any], ...] = (
        {},
        {"compression": "none", "use_dictionary": False},
        {"compression": "zstd", "row_group_size": 5},
        {"compression": "gzip", "data_page_version": "2.0"},
        {"use_deprecated_int96_timestamps": True, "write_statistics": False},
        {"use_dictionary": False, "column_encoding": {"image": "PLAIN"}, "compression": "lz4"},
    )
    files = []
    for choice in options:
        file = io.BytesIO()
        parquet.write_table(pa.table(columns), file, **choice)
        files.append(file.getvalue())
    return tuple(files)


def case(seed: int, number: int) -> tuple[str, bytes]:
    """The name and the bytes of one mutated file."""
    rng = random.Random(f"verdicts {seed} {number}")
    name, content = rng.choice(originals())
    return name, _mutated(rng, content, [content for _, content in originals()])


def damaged_table(seed: int, number: int) -> bytes:
    """One mutated Parquet file, mostly with a few wrong bytes in its place alone."""
    rng = random.Random(f"tables {seed} {number}")
    if rng.random() < 0.7:
        data = bytearray(rng.choice(tables()))
        for _ in range(rng.choice((1, 1, 2))):
            rng.choice(MUTATIONS[:3])(rng, data)
        return bytes(data)
    return _mutated(rng, rng.choice(tables()), tables())


def _mutated(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    def graft(rng: random.Random, data: bytearray) -> None:
        other = rng.choice(others)
        data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other)) :]

    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if rng.random() < 0.3:
            place = rng.randrange(len(data) + 1)
            data[place:place] = rng.choice(
                (b'"', b",", b";", b"\n", b"\r", b"{", b"}", b"\\", b"\t")
            )
        else:
            rng.choice((*MUTATIONS[:-1], graft))(rng, data)
    return bytes(data)


def may_mean(path: str | None) -> set[str]:
    """The images that a path may be taken for."""
    if path is None:
        return set()
    read = {verdict_paths.folded(one) for one in (path, *verdict_paths.spellings(path, ROOT))}
    return {one for one in (*NAMED, *OTHERS) if verdict_paths.folded(one) in read}


def check(name: str, content: bytes, report: Report) -> None:
    """Parse one file and look at what came of it."""
    rows = list(verdict_files.parse(name, content))
    for row in rows:
        _check_row(row)
        reason = row.get("fault_reason") or ("verdict_unreadable" if row.get("fault") else "")
        if reason and reason not in names.REJECT_REASONS:
            raise AssertionError(f"unknown reason {reason}")
        if reason:
            report.rejected[reason] = report.rejected.get(reason, 0) + 1
    report.rows += len(rows)
    try:
        text = decode(content, is_json=name.endswith(("json", "jsonl")))
    except UnreadableTextError:
        if len(rows) != 1:
            raise AssertionError(f"{len(rows)} rows of a file that can't be decoded") from None
        return
    (_check_lines if name.endswith(".csv") else _check_values)(text, rows)


def _check_row(row: Row) -> None:
    if row.get("fault"):
        return
    if may_mean(row.get("image")) & set(OTHERS):
        raise AssertionError(f"a row for {row['image']}, which the intact file doesn't name")
    "".join(text for text in row.values() if text).encode()


def _check_lines(text: str, rows: Sequence[Row]) -> None:
    """Every filled line belongs to one row, and none was swallowed by another's value."""
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
    lines = lines if lines[-1] else lines[:-1]
    filled = sum(1 for line in lines if _FILLED.search(line))
    records = list(verdict_csv.records(verdict_csv.split_lines(text), Form()))
    told, last = 0, 0
    for record in records:
        if record.first <= last:
            raise AssertionError(f"line {record.first} became two rows")
        last = record.last
        told += sum(1 for line in lines[record.first - 1 : last] if _FILLED.search(line))
        inner = "".join(lines[record.first : last]).replace(
            (record.row.get("image") or " ").strip(), "", 1
        )
        if record.row and "fault" not in record.row and ".jpg" in inner:
            raise AssertionError(f"lines {record.first} to {last} are one row: {inner!r}")
    if told != filled:
        raise AssertionError(f"{told} of {filled} lines became rows")
    if len(rows) != sum(1 for record in records if record.row):
        raise AssertionError(f"{len(rows)} rows of {len(records)} records")


def _check_values(text: str, rows: Sequence[Row]) -> None:
    """Every line, or every item of a list, belongs to a row or to a message without one."""
    values = [value for _, value in verdict_json.values(text)]
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if len(values) not in (1, len(lines)) and not isinstance(json.loads(text), list):
        raise AssertionError(f"{len(values)} values in {len(lines)} lines")
    messages = sum(1 for value in values if cfx.is_message(value))
    if len(rows) < len(values) - messages:
        raise AssertionError(f"{len(rows)} rows of {len(values)} values")


def work(seed: int, first: int, count: int, progress: int) -> Report:
    """Parse the files; ``progress`` is the descriptor that the current number is written to."""
    report = Report()
    kinds: Counter[str] = Counter()
    for number in range(first, first + count):
        os.pwrite(progress, f"{number:>12}".encode(), 0)
        name, content = case(seed, number)
        kinds[name] += 1
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        began = time.perf_counter()
        try:
            check(name, content, report)
        except Exception as error:  # noqa: BLE001  whatever it is goes into the report
            report.faults.append(f"case {number} ({name}): {type(error).__name__}: {error}")
        report.slowest = max(report.slowest, time.perf_counter() - began)
        faulthandler.cancel_dump_traceback_later()
        report.files += 1
    report.kinds = dict(kinds)
    report.peak_mb = peak_resident_mb()
    return report


def main(arguments: list[str]) -> int:
    """Run one worker."""
    seed, first, count = map(int, arguments[:3])
    faulthandler.enable()
    progress = os.open(arguments[3], os.O_CREAT | os.O_WRONLY)
    sys.stdout.write(json.dumps(asdict(work(seed, first, count, progress))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
