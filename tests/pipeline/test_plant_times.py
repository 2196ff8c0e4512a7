"""Times as plants write them: what can't be read waits, with a word, until it is mended."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image

from pcb_spark.pipeline import run_ingest
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/line=L1/date=2026-01-05"
BERLIN = "ingest.timezone='Europe/Berlin'"


def taken(moment: str, offset: str | None) -> bytes:
    """A picture with EXIF DateTimeOriginal and OffsetTimeOriginal."""
    image, file = Image.new("L", (20, 16), 7), io.BytesIO()
    tags = image.getexif()
    tags[ExifTags.Base.Make] = "camera"
    fields = tags.get_ifd(ExifTags.IFD.Exif)
    fields[ExifTags.Base.DateTimeOriginal] = moment
    if offset is not None:
        fields[ExifTags.Base.OffsetTimeOriginal] = offset
    image.save(file, "JPEG", exif=tags.tobytes())
    return file.getvalue()


def stored(spark: SparkSession, out: Path, *columns: str) -> dict[str, tuple[Any, ...]]:
    """Columns of the images, in UTC, by board."""
    rows = spark.read.parquet(str(out / "images")).selectExpr("board_id", *columns).collect()
    return {row[0]: tuple(row)[1:] for row in rows}


def verdicts(spark: SparkSession, out: Path) -> dict[str, str | None]:
    """The verdict of each board."""
    images = spark.read.parquet(str(out / "images")).select("image_id", "board_id")
    rows = spark.read.parquet(str(out / "verdicts")).join(images, "image_id").collect()
    return {row["board_id"]: row["verdict"] for row in rows}


def ingest(spark: SparkSession, drop: Path, out: Path, run: str, *settings: str) -> None:
    """Ingest under a run's id: what another run rejected is tried again."""
    job = drops.job(spark, drop, out, *settings)
    run_ingest(replace(job, run_id=run), refusing=False)


def rejects(spark: SparkSession, out: Path) -> list[tuple[str, str]]:
    """The file's name and the reason of each reject."""
    rows = drops.rows(spark, out, "rejects", "source_uri", "reason")
    return [(uri.rpartition("/")[2], reason) for uri, reason in rows]


@pytest.mark.slow
def test_verified_at_in_other_forms_is_rejected_until_a_setting_reads_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        ("B0", "pass", "05.01.2026 08:00"), ("B0", "fail", "05.01.2026 09:30"),
        ("B1", "fail", "1/5/2026 8:00 AM"), ("B1", "pass", "1/5/2026 2:00 PM"),
        ("B2", "pass", "20260105T080000"), ("B2", "fail", "2026-01-05T07:00:00"),
        ("B3", "pass", "2026-01-05 08:00 CEST"), ("B4", "", "0001-01-01T00:00:00"),
    ]  # fmt: skip
    lines = [f"{DAY}/{board}_P1.png,{verdict},{moment}\n" for board, verdict, moment in rows]
    drop = drops.write(
        tmp_path / "drop",
        {f"{DAY}/B{n}_P1.png": drops.picture(n) for n in range(5)}
        | {"verdicts.csv": "image,verdict,verified_at\n" + "".join(lines)},
    )
    out = tmp_path / "out"
    drops.ingest(spark, drop, out, BERLIN)
    assert verdicts(spark, out) == {"B2": "pass"}
    assert rejects(spark, out) == [
        *[("B0_P1.png", "verified_at_unreadable")] * 2,
        *[("B1_P1.png", "verified_at_unreadable")] * 2,
        ("B2_P1.png", "verdict_superseded"),
        ("B3_P1.png", "verified_at_unreadable"),
        ("B4_P1.png", "verified_at_unreadable"),
    ]
    formats = "ingest.verdict_time_format=['%d.%m.%Y %H:%M', '%m/%d/%Y %I:%M %p']"
    drops.ingest(spark, drop, out, BERLIN, formats)
    assert verdicts(spark, out) == {"B0": "fail", "B1": "pass", "B2": "pass"}


@pytest.mark.slow
def test_image_of_an_unreadable_capture_time_waits_for_the_mended_file(
    spark: SparkSession, tmp_path: Path
) -> None:
    moments = [
        "05.01.2026 08:00", "2026/01/07 08:00", "1767600000", "2026-01-07 08:00:00 PM",
        "1899-12-30 00:00:00", "2026-07-05 08:00:00 BST", "2026-01-05 08:00:00 CST",
        "2026-01-06 08:00:00",
    ]  # fmt: skip
    pictures: dict[str, bytes | str] = {
        f"{DAY}/B{n}_P1.png": drops.picture(n) for n in range(len(moments))
    }
    pictures["images/2026/01/05/B8_P1.png"] = drops.picture(8)
    pictures["images/20260105/B9_P1.jpg"] = taken("2026:01:07 08:15:00", "   :  ")
    pictures["images/Date=20260105/B10_P1.jpg"] = taken("2026:01:07 08:15:00", "CET")

    def told(texts: list[str]) -> str:
        rows = [f"{DAY}/B{n}_P1.png,pass,{text}\n" for n, text in enumerate(texts)]
        return "image,verdict,captured_at\n" + "".join(rows)

    out = tmp_path / "out"
    drop = drops.write(tmp_path / "drop", pictures | {"verdicts.csv": told(moments)})
    ingest(spark, drop, out, "run-1", BERLIN)
    assert stored(spark, out, "string(captured_at)", "string(capture_date)") == {
        "B7": ("2026-01-06 07:00:00", "2026-01-06"),
        "B8": ("2026-01-04 23:00:00", "2026-01-05"),
        "B9": ("2026-01-07 07:15:00", "2026-01-07"),
    }
    assert verdicts(spark, out) == {"B7": "pass"}
    details = drops.rows(spark, out, "rejects", "reason", "detail")
    unread = [detail for reason, detail in details if reason == "capture_time_unreadable"]
    assert [sum(text in detail for detail in unread) for text in moments] == [1] * 7 + [0]
    assert "in EXIF '2026:01:07 08:15:00 CET' names a zone as CET" in " ".join(unread)

    drops.write(drop, {"verdicts.csv": told(["2026-01-05T08:00:00+01:00"] * 8)})
    ingest(spark, drop, out, "run-2", BERLIN)
    assert verdicts(spark, out) == dict.fromkeys([f"B{n}" for n in range(8)], "pass")
    assert rejects(spark, out) == [("B10_P1.jpg", "capture_time_unreadable")]

    # What comes too late to keep its image out keeps its verdict out, and changes nothing.
    drops.write(drop, {"verdicts.csv": told(["2099-01-01T00:00:00Z", "soon"])})
    ingest(spark, drop, out, "run-3", BERLIN)
    assert stored(spark, out, "string(captured_at)")["B0"] == ("2026-01-05 07:00:00",)
    assert rejects(spark, out) == [
        ("B10_P1.jpg", "capture_time_unreadable"),
        ("B0_P1.png", "capture_time_in_future"),
        ("B1_P1.png", "capture_time_unreadable"),
    ]


@pytest.mark.slow
def test_reference_windows_begin_in_the_plants_zone(spark: SparkSession, tmp_path: Path) -> None:
    drop = drops.write(
        tmp_path / "drop",
        {
            "images/n1_U1.png": drops.picture(1),
            "images/n2_U1.png": drops.picture(2),
            "references/old.png": drops.picture(100),
            "references/new.png": drops.picture(200),
            "manifest.csv": "image,captured_at\nimages/n1_U1.png,2026-02-28 23:00:00\n"
            "images/n2_U1.png,2026-03-01 02:00:00\n",
            "references.csv": "reference,position,valid_from,valid_until\n"
            "references/old.png,U1,2026-01-01,2026-03-01\nreferences/new.png,U1,2026-03-01,\n",
        },
    )
    drops.ingest(spark, drop, tmp_path / "out", "ingest.timezone='Asia/Shanghai'")
    assert stored(spark, tmp_path / "out", "reference_uri") == {
        "n1": (f"file:{drop}/references/old.png",),
        "n2": (f"file:{drop}/references/new.png",),
    }
