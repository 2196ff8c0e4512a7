"""The examples of docs/how-to/verdicts.md are read as the tables below them say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.layouts import Layout
from pcb_spark.core.times import Reader
from pcb_spark.ingest import verdict_files, verdict_paths, verdicts
from pcb_spark.ingest.verdict_form import FAULT, UNVERIFIED, Form, Row, canonical, meanings
from pcb_spark.pipeline import config
from tests.rows import manifest_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.ingest.settings import IngestConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "verdicts.md"
ROOT = "file:/data/drop"
#: Name and encoding of the file that each example is written as.
FILES = {
    "Plain CSV": ("verdicts.csv", "utf-8"),
    "CSV of Excel": ("verdicts.csv", "cp1252"),
    "CSV with a sep= line": ("verdicts.csv", "utf-8"),
    "UTF-16": ("verdicts/night.txt", "utf-16"),
    "JSON lines": ("verdicts/night.jsonl", "utf-8"),
    "Sidecars": ("images/1002_P07.jpg.json", "utf-8"),
    "Names and words of your own": ("verdicts.csv", "utf-8"),
}
PLACED = {
    "Board and position": ("verdicts.csv", "utf-8"),
    "IPC-CFX": ("verdicts/message.json", "utf-8"),
}
TIMES = (names.CAPTURED_AT, names.VERIFIED_AT)


class Example(NamedTuple):
    """What stands below one heading: a file, what is set, and the rows that it is read as."""

    text: str
    settings: str
    rows: list[dict[str, str]]


def example(heading: str) -> Example:
    (section,) = re.findall(
        rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE.read_text("utf-8"), re.M | re.S
    )
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S)
    settings = "".join(text for kind, text in fences if kind == "toml")
    (table, *_) = re.findall(r"(?:^\|.*\|\n)+", section, re.M)
    header, _, *rows = [cells(line) for line in table.splitlines()]
    text = fences[0][1] if fences else ""
    return Example(text, settings, [dict(zip(header, row, strict=True)) for row in rows])


def cells(line: str) -> list[str]:
    inner = re.split(r"(?<!\\)\|", line)[1:-1]
    return [cell.strip().strip("`").replace("\\|", "|") for cell in inner]


def settings_of(text: str, folder: Path) -> IngestConfig:
    file = folder / "my.toml"
    file.write_text(text, encoding="utf-8")
    return config.load(file, []).ingest


def form_of(settings: IngestConfig) -> Form:
    return Form(
        columns=settings.verdict_columns,
        separator=settings.verdict_separator,
        encoding=settings.verdict_encoding,
    )


def told(row: Row, settings: IngestConfig) -> Iterator[tuple[str, str]]:
    """The columns of a row as the page's tables have them."""
    times = Reader(timezone=settings.timezone, formats=settings.verdict_time_format)
    words = meanings(settings.verdict_words)
    for name, text in row.items():
        value = (text or "").strip()
        if value and name in TIMES:
            value = f"{times.read(value):%Y-%m-%d %H:%M}"
        if value and name == names.VERDICT:
            value = words[canonical(value)]
        yield name, "" if value == UNVERIFIED else value


def assert_read_as(
    found: list[Row], expected: list[dict[str, str]], settings: IngestConfig
) -> None:
    assert [row.get(FAULT) for row in found] == [None] * len(expected)
    for row, wanted in zip(found, expected, strict=True):
        values = dict(told(row, settings))
        image = values.get(names.IMAGE, "")
        assert {name: values.get(name, "") for name in wanted} == {
            **wanted, **({names.IMAGE: image} if names.IMAGE in wanted else {}),
        }  # fmt: skip
        assert wanted.get(names.IMAGE, "") in ("", *verdict_paths.spellings(image, ROOT))


@pytest.mark.parametrize("heading", FILES)
def test_file_is_read_as_the_page_says(heading: str, tmp_path: Path) -> None:
    name, encoding = FILES[heading]
    text, toml, expected = example(heading)
    settings = settings_of(toml, tmp_path)

    found = list(verdict_files.parse(name, text.encode(encoding), form_of(settings)))

    assert_read_as(found, expected, settings)


def test_parquet_of_pandas_is_read_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("verdicts").mkdir()
    code, toml, expected = example("Parquet of pandas")
    exec(code, {})
    settings = settings_of(toml, tmp_path)

    (file,) = Path("verdicts").iterdir()
    found = list(verdict_files.parse(file.name, file.read_bytes(), form_of(settings)))

    assert_read_as(found, expected, settings)


@pytest.mark.parametrize("heading", PLACED)
def test_board_and_position_lead_to_the_images_that_the_page_says(
    spark: SparkSession, heading: str, tmp_path: Path
) -> None:
    name, encoding = PLACED[heading]
    text, toml, expected = example(heading)
    settings = settings_of(toml, tmp_path)
    found = list(verdict_files.parse(name, text.encode(encoding), form_of(settings)))
    traits = [(row["image"], Layout().read(row["image"])) for row in expected]
    images = spark.createDataFrame(
        [(path, known.board_id, known.position) for path, known in traits],
        "relative_path string, board_id string, position string",
    )
    columns = sorted(set().union(*found))
    raw = spark.createDataFrame(
        [tuple(row.get(name) for name in columns) for row in found],
        ", ".join(f"{name} string" for name in columns),
    )

    resolved = verdicts.resolve(manifest_of(raw), images).select(
        F.col(verdicts.KEY).alias(names.IMAGE), names.VERDICT, names.DEFECTS, names.OPERATOR_ID,
        F.date_format(names.VERIFIED_AT, "yyyy-MM-dd'T'HH:mm:ss'Z'").alias(names.VERIFIED_AT),
        FAULT,
    )  # fmt: skip

    rows: list[Row] = [row.asDict() for row in resolved.orderBy(names.IMAGE).collect()]
    assert_read_as(rows, expected, settings)


def test_what_is_not_read_becomes_the_reject_that_the_page_says(tmp_path: Path) -> None:
    text, toml, expected = example("What is not read")
    settings = settings_of(toml, tmp_path)
    times = Reader(timezone=settings.timezone, formats=settings.verdict_time_format)

    def becomes(row: Row) -> str:
        if FAULT in row:
            return str(row["fault_reason"])
        if times.judge(row[names.VERIFIED_AT])[1]:
            return names.VERIFIED_AT_UNREADABLE
        word = canonical(str(row[names.VERDICT]))
        return meanings(settings.verdict_words).get(word, names.VERDICT_UNKNOWN)

    found = [becomes(row) for row in verdict_files.parse("verdicts.csv", text.encode())]

    assert found == [row["becomes"] for row in expected]


def test_words_that_the_page_lists_mean_what_it_says() -> None:
    rows = example("Words").rows
    known = meanings({})
    listed = {
        word: row["verdict"]
        for row in rows
        for word in re.split(r", | and the like", row["words"])
        if word not in ("", "empty")
    }

    assert {word: known.get(canonical(word)) for word in listed} == {
        word: {"not yet verified": UNVERIFIED}.get(meaning, meaning)
        for word, meaning in listed.items()
    }


def test_words_of_which_the_page_says_that_they_are_unknown_are() -> None:
    (named,) = re.findall(r"^(TRUE, .*?) mean opposite", PAGE.read_text("utf-8"), re.M)

    assert [w for w in re.split(r", | and ", named) if canonical(w) in meanings({})] == []
