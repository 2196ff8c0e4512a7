"""The first thing a new plant runs, and that what it proposes is what ingest needs."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark import cli
from tests import drops
from tests.pipeline.commands import DAY, command, error

if TYPE_CHECKING:
    import pytest
    from pyspark.sql import SparkSession

TIMES = [f"{day:02}.01.2026 08:{day:02}" for day in (5, 13, 14, 15)]


def excel(root: Path) -> Path:
    """What Excel saves on a western Windows, by a station that writes OK, NG and backslashes."""
    rows = ["Bild;Referenz;Los-Nr.;Ergebnis;Prüfer;Geprüft am"]
    words = ["OK", "NG", "OK", "NG"]
    for n, (word, moment) in enumerate(zip(words, TIMES, strict=True)):
        path = f"D:\\aoi\\drop\\{DAY}\\b{n}_P1.png".replace("/", "\\")
        rows.append(f"{path};references\\P1.png;4711;{word};Müller;{moment}")
    return drops.write(root, {
        **{f"{DAY}/b{n}_P1.png": drops.picture(n) for n in range(4)},
        "references/P1.png": drops.picture(),
        "Prüfergebnis.csv": "\r\n".join(rows).encode("cp1252"),
    })  # fmt: skip


def preview(drop: Path, capsys: pytest.CaptureFixture[str], *settings: str) -> str:
    assert cli.main(["preview", "--set", f"paths.drop='{drop}'", *settings]) == 0
    return capsys.readouterr().out


def proposed(said: str) -> list[str]:
    """The settings that are in the line to go on with, as a shell hands them on."""
    (line,) = re.findall(r"^  make run-local .*$", said, re.MULTILINE)
    return [word.removeprefix("SET=") for word in shlex.split(line) if word.startswith("SET=")]


def test_excel_through_preview_and_ingest(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = excel(tmp_path / "drop")
    (settings,) = proposed(preview(drop, capsys))

    assert settings.count("ingest.") <= 5
    assert cli.main(command("ingest", tmp_path / "out", settings, drop=drop)) == 0

    columns = "verdict", "operator_id", "cast(verified_at as string)"
    found = spark.read.parquet(str(tmp_path / "out" / "verdicts")).selectExpr(*columns).collect()
    assert sorted(tuple(row) for row in found) == [
        ("fail", "Müller", "2026-01-13 08:13:00"), ("fail", "Müller", "2026-01-15 08:15:00"),
        ("pass", "Müller", "2026-01-05 08:05:00"), ("pass", "Müller", "2026-01-14 08:14:00"),
    ]  # fmt: skip
    images = spark.read.parquet(str(tmp_path / "out" / "images"))
    named = images.selectExpr("lot", "substring(reference_uri, -17)").distinct().collect()
    assert [tuple(row) for row in named] == [("4711", "references/P1.png")]


def test_what_it_says_of_excel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = preview(excel(tmp_path / "drop"), capsys).splitlines()

    assert "4 images in images; 1 golden images" in said
    assert "  where their times come from: 4 date folders" in said
    assert "  --set 'ingest.verdict_time_format=\"%d.%m.%Y %H:%M\"'" in said
    assert "  words: 2 OK = pass, 2 NG = fail" in said
    assert (
        "  4 of 4 rows match an image and can be read; verdicts that count: 2 fail, 2 pass" in said
    )


def test_each_reason_has_three_examples_and_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{DAY}/b{n}_P1.png,TRUE\n" for n in range(5))
    drop = drops.write(tmp_path / "drop", {
        **{f"{DAY}/b{n}_P1.png": drops.picture(n) for n in range(5)},
        "verdicts.csv": f"image,verdict\n{rows}",
    })  # fmt: skip

    said = preview(drop, capsys)

    assert "    5 verdict_unknown\n        verdicts.csv: TRUE\n      -> --set" in said
    assert "  verdicts.csv: CSV, utf-8, separator ,, 5 rows; columns image, verdict\n" in said
    assert "--set 'ingest.verdict_words={TRUE=\"?\"}'" in said


def test_a_workbook_is_named_where_no_verdicts_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{DAY}/b_P1.png": drops.picture(), "Ergebnis.xlsx": b"PK", "notes.md": b"hello"}

    said = preview(drops.write(tmp_path / "drop", files), capsys)

    assert "  Ergebnis.xlsx isn't read; if it holds verdicts, save them as CSV\n" in said
    assert "notes.md" not in said


def test_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop = excel(tmp_path / "drop")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    preview(drop, capsys, "--set", f"paths.out='{tmp_path / 'out'}'")

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_spark_is_not_started_for_a_drop_on_a_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_session(_: object) -> SparkSession:
        raise AssertionError("Spark was started")

    host = cli.Host(start_session=no_session, running_session=lambda: None)
    drop = excel(tmp_path / "drop")

    assert cli.main(["preview", "--set", f"paths.drop='{drop}'"], host) == 0
    assert "4 images in images" in capsys.readouterr().out


def test_a_drop_by_hadoop_is_told_as_one_on_a_disk(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = excel(tmp_path / "drop")
    setting = 'spark.conf={"spark.hadoop.fs.defaultFS"="file:///"}'

    by_hadoop = preview(drop, capsys, "--set", setting)

    assert by_hadoop == preview(drop, capsys)
    assert spark.range(1).count() == 1  # a session that was there is left running


def test_no_such_drop_on_a_store(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = 'spark.conf={"spark.hadoop.fs.defaultFS"="file:///"}'
    gone = tmp_path / "gone"

    assert cli.main(["preview", "--set", f"paths.drop='{gone}'", "--set", setting]) == 4
    said = error(capsys.readouterr().err)
    assert said.startswith(f"InputError: the drop {gone} can't be read")
    assert "correct paths.drop" in said
    assert spark.range(1).count() == 1


def test_no_such_drop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preview", "--set", f"paths.drop='{tmp_path / 'gone'}'"]) == 4
    assert error(capsys.readouterr().err).startswith("InputError: there is no folder")


def test_10_000_files_take_less_than_20_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, rows = drops.picture(), ["image,verdict,verified_at"]
    files: dict[str, bytes | str] = {}
    for n in range(10_000):
        files[f"{DAY}/b{n}_P1.png"] = picture
        rows.append(f"{DAY}/b{n}_P1.png,OK,{1 + n % 28:02}.01.2025 08:15")
    drop = drops.write(tmp_path / "drop", {**files, "verdicts.csv": "\n".join(rows)})

    began = time.process_time()
    said = preview(drop, capsys)

    assert time.process_time() - began < 15
    assert "10000 images in images, 500 of them looked at" in said
    assert "10000 of 10000 rows match" in said
