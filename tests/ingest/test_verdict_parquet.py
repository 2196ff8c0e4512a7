"""Parquet of verdicts as pandas and pyarrow write it, whole and damaged."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pcb_spark.ingest import verdict_parquet
from pcb_spark.ingest.verdict_form import Form, Row


def file_of(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def of_pandas(frame: pd.DataFrame) -> bytes:
    return file_of(pa.Table.from_pandas(frame))


def parse(content: bytes, form: Form | None = None) -> list[Row]:
    return list(verdict_parquet.parse(content, form or Form()))


def one(column: str, array: pa.Array, **options: Any) -> str | None:
    """What a column of one value beside ``image`` is read as."""
    (row,) = parse(file_of(pa.table({"image": ["a.png"], column: array}), **options))
    return row[column]


def test_frame_of_pandas_with_nanoseconds_categories_and_numbers_for_ids() -> None:
    frame = pd.DataFrame({
        "Image": ["a.png", "b.png"],
        "verdict": pd.Categorical(["pass", "fail"]),
        "board_id": [41000.0, None],
        "lot": ["0041", "0042"],
        "verified_at": pd.to_datetime(["2026-01-06T08:00:00.123456789", None]),
    })  # fmt: skip
    assert parse(of_pandas(frame)) == [
        {"image": "a.png", "verdict": "pass", "board_id": "41000", "lot": "0041",
         "verified_at": "2026-01-06T08:00:00.123456"},
        {"image": "b.png", "verdict": "fail", "board_id": None, "lot": "0042",
         "verified_at": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array(["0041"], pa.large_string()), "0041"),
        (pa.array([b"0041"], pa.binary()), "0041"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([2**62], pa.int64()), str(2**62)),
        (pa.array([1.5]), "1.5"),
        (pa.array([float("nan")]), None),
        (pa.array([Decimal("41000.00")]), "41000"),
        (pa.array([True]), "true"),
        (pa.nulls(1), None),
    ],
)
def test_values_become_text_as_people_write_it(array: pa.Array, text: str | None) -> None:
    assert one("lot", array) == text


MOMENT = datetime(2026, 1, 6, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([MOMENT], pa.timestamp("ns", tz="Europe/Berlin")), "2026-01-06T08:00:00.000000Z"),
        (pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ms")), "2026-01-06T08:00:00.000000"),
        (pa.array([MOMENT.date()], pa.date32()), "2026-01-06"),
        (pa.array([2**62], pa.timestamp("ms")), f"{2**62}/1000 s since 1970"),
        (pa.array([2**30], pa.date32()), "1073741824 days since 1970"),
    ],
)
def test_times_say_what_they_know(array: pa.Array, text: str) -> None:
    assert one("verified_at", array) == text


def test_int96_is_utc() -> None:
    array = pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us"))
    found = one("verified_at", array, use_deprecated_int96_timestamps=True)
    assert found == "2026-01-06T08:00:00.000000Z"


def test_several_defects_are_a_list_and_other_nested_columns_a_fault() -> None:
    assert one("defects", pa.array([["open", "short"]])) == "open|short"
    table = pa.table({"image": ["a.png"], "verdict": pa.array([{"value": "pass"}])})
    (row,) = parse(file_of(table))
    assert str(row["fault"]).startswith("Parquet, row group 1 of 1: column verdict holds struct<")


def test_a_plants_own_columns() -> None:
    table = pa.table({"Bild": ["a.png"], "verdict": ["NG"], "Result": ["OK"]})
    form = Form(columns={"image": "bild", "verdict": "result"})
    assert parse(file_of(table), form) == [{"image": "a.png", "verdict": "OK"}]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"image,verdict\n", "no Parquet: it begins with b'image,ve'"),
        (b"PAR1PAR1", "Parquet, its end: "),
        (file_of(pa.table({"image": ["a.png"]}))[:-9], "Parquet, its end: "),
        (file_of(pa.table({"picture": ["a.png"]})), "no column named image: picture"),
    ],
)
def test_file_that_is_no_parquet_or_cut_is_one_fault(content: bytes, fault: str) -> None:
    (row,) = parse(content)
    assert set(row) == {"fault"}
    assert str(row["fault"]).startswith(fault)


def test_two_columns_of_one_name() -> None:
    table = pa.table([["a.png"], ["pass"], ["fail"]], names=["image", "verdict", "Verdict"])
    assert parse(file_of(table)) == [
        {"fault_reason": "verdict_file_malformed", "fault": "two columns are named verdict"}
    ]


def test_file_that_crashes_the_reader_is_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    monkeypatch.setattr(verdict_parquet, "rows", lambda *_: os.kill(os.getpid(), signal.SIGSEGV))
    assert parse(file_of(pa.table({"image": ["a.png"]}))) == [
        {"fault": "damaged Parquet: it crashes the reader (signal 11)"}
    ]
