"""A drop of which most can't be read: what can is taken in, then the job says what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark import cli
from pcb_spark.ingest.readability import Readability
from pcb_spark.pipeline import ingest
from tests import drops
from tests.pipeline.commands import DAY, command, error, in_a_process_of_its_own

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEADER = "image,verdict,verified_at\n"
PICTURES = {f"{DAY}/b{n}_P1.png": drops.picture(n) for n in range(4)}
WORDS = HEADER + "".join(f"{DAY}/b{n}_P1.png,{word},\n" for n, word in enumerate("AABP"))
UNKNOWN = WORDS.replace("P,", "pass,")


def test_most_verdicts_unread(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = drops.write(tmp_path / "drop", {**PICTURES, "verdicts.csv": UNKNOWN})

    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 4

    message = error(capsys.readouterr().err)
    assert "3 of 4 verdict rows can't be read, most of them for verdict_unknown" in message
    assert "pcb-spark preview" in message
    assert len(drops.rows(spark, tmp_path / "out", "images", "board_id")) == 4
    assert drops.rows(spark, tmp_path / "out", "verdicts", "verdict") == [("pass",)]


def test_most_images_unread(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undated = {f"images/b{n}_P2.png": drops.picture(n) for n in range(3)}
    drop = drops.write(tmp_path / "drop", {f"{DAY}/b9_P1.png": drops.picture(9), **undated})

    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 4

    message = error(capsys.readouterr().err)
    assert "3 of 4 image rows can't be read, most of them for capture_time_missing" in message
    assert drops.rows(spark, tmp_path / "out", "images", "board_id") == [("b9",)]


@pytest.mark.usefixtures("spark")
def test_half_is_not_most_and_the_summary_names_the_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = drops.write(
        tmp_path / "drop",
        {
            **PICTURES,
            f"{DAY}/empty_P1.png": b"",
            "verdicts.csv": UNKNOWN.replace(",B,", ",fail,") + "images/gone.png,pass,\n",
        },
    )

    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "ingest          1 image rows rejected: 1 empty_file" in lines
    assert (
        "ingest          3 verdict rows rejected: 2 verdict_unknown, 1 verdict_without_image"
    ) in lines


def test_verdicts_of_earlier_runs_do_not_hide_a_file_that_cannot_be_read(
    spark: SparkSession, tmp_path: Path
) -> None:
    drop = drops.write(tmp_path / "drop", {
        **PICTURES,
        "verdicts.csv": HEADER + "".join(f"{DAY}/b{n}_P1.png,pass,\n" for n in range(4)),
    })  # fmt: skip
    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 0

    drops.write(drop, {"verdicts.csv": HEADER + f"{DAY}/b0_P1.png,Gut,\n"})

    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 4
    assert len(drops.rows(spark, tmp_path / "out", "verdicts", "verdict")) == 3


@pytest.mark.usefixtures("spark")
def test_verdicts_that_newer_ones_replace_do_not_make_it_most(tmp_path: Path) -> None:
    first = "".join(f"{DAY}/b{n}_P1.png,pass,2026-01-06T08:00:00Z\n" for n in range(4))
    then = "".join(f"{DAY}/b{n}_P1.png,fail,2026-01-07T08:00:00Z\n" for n in range(3))
    words = "".join(f"{DAY}/b3_P1.png,Gut,2026-01-0{day}T08:00:00Z\n" for day in (7, 8))
    drop = drops.write(tmp_path / "drop", {**PICTURES, "verdicts.csv": HEADER + first})
    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 0

    drops.write(drop, {"verdicts.csv": HEADER + then + words})  # two of five can't be read

    assert cli.main(command("ingest", tmp_path / "out", drop=drop)) == 0


def test_the_service_warns_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    read = Readability(kind="verdict", rows=4, reasons={"verdict_unknown": 3})
    intake: Any = SimpleNamespace(
        images_read=lambda: Readability(kind="image", rows=4), verdicts_read=read
    )

    ingest.warn_of_unread(intake)

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "3 of 4 verdict rows can't be read" in record.getMessage()
    assert "pcb-spark preview" in record.getMessage()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["broken parquet", "half an image column"])
def test_no_stack_trace_reaches_the_terminal(tmp_path: Path, case: str) -> None:
    files = {
        "broken parquet": {"verdicts.parquet": b"PAR1 and no more PAR1"},
        "half an image column": {"verdicts.csv": b'image,verdict\n"open\xff,\n\0'},
    }
    drop = drops.write(tmp_path / "drop", {**PICTURES, **files[case]})
    arguments = command(
        "ingest",
        tmp_path / "out",
        'ingest.verdicts=["verdicts.csv", "verdicts.parquet"]',
        drop=drop,
    )

    done = in_a_process_of_its_own(*arguments)

    assert done.returncode == 4
    assert "\tat " not in done.stderr
    assert "Traceback" not in done.stderr
