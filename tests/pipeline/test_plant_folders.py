"""Drops with links, colons, clocks that run ahead, and names in other capitals."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.pipeline import run_ingest
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/line=L1/date=2026-01-05"


@pytest.mark.slow
def test_links_are_counted_and_not_followed(spark: SparkSession, tmp_path: Path) -> None:
    drop = drops.write(
        tmp_path / "drop", {f"{DAY}/B{n}_P1.png": drops.picture(n) for n in range(3)}
    )
    (drop / DAY / "B9_P1.png").symlink_to("B0_P1.png")
    out = tmp_path / "out"
    job = drops.job(spark, drop, out)
    assert run_ingest(job).rows_in == 3  # by the stream, which follows links to files
    assert job.notes == [f"ingest: 1 symbolic links are not followed: {DAY}/B9_P1.png"]

    (drop / "images" / "line=L2").symlink_to("line=L1")
    (drop / "images" / "latest").symlink_to("line=L1/date=2026-01-05")
    (drop / DAY / "up").symlink_to("..")
    (drop / DAY / "top").symlink_to("../..")  # with up: paths without end
    drops.write(drop, {f"{DAY}/B3_P1.png": drops.picture(3)})
    job = drops.job(spark, drop, out)
    assert run_ingest(job).rows_in == 1
    assert job.notes[0].startswith("ingest: 5 symbolic links are not followed: images/latest, ")
    assert drops.rows(spark, out, "images", "board_id", "line") == [
        ("B0", "L1"), ("B1", "L1"), ("B2", "L1"), ("B3", "L1"),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_folder_of_images_may_be_a_link(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(tmp_path, {f"camera{DAY[6:]}/B0_P1.png": drops.picture(0), "drop/a.txt": ""})
    (tmp_path / "drop" / "images").symlink_to("../camera")
    job = drops.job(spark, tmp_path / "drop", tmp_path / "out")
    assert run_ingest(job).rows_out == 1
    assert job.notes == []


@pytest.mark.slow
def test_names_with_colons_are_read_and_their_verdicts_found(
    spark: SparkSession, tmp_path: Path
) -> None:
    paths = [f"{DAY}/a_P1.png", f"{DAY}/2026-01-05T08:15:30_P2.png", f"{DAY}/08:15/b_P3.png"]
    drop = drops.write(
        tmp_path / "drop",
        {path: drops.picture(n) for n, path in enumerate(paths)}
        | {"references/P2:a.png": drops.picture(9), f"{DAY}/08:15:31_P4.png": b""}
        | {"verdicts/2026-01-05T09:00.csv": "image,reference,verdict\n"
           f"{paths[1]},references/P2:a.png,fail\n{paths[2]},,pass\n"},
    )  # fmt: skip
    out = tmp_path / "out"
    drops.ingest(spark, drop, out)
    images = spark.read.parquet(str(out / "images"))
    verdicts = spark.read.parquet(str(out / "verdicts"))
    found = images.join(verdicts, "image_id", "left").orderBy("position")
    rows = found.select("board_id", "position", "verdict", "reference_uri").collect()
    assert [tuple(row) for row in rows] == [
        ("a", "P1", None, None),
        ("2026-01-05T08:15:30", "P2", "fail", f"file:{drop}/references/P2:a.png"),
        ("b", "P3", "pass", None),
    ]
    assert drops.rows(spark, out, "rejects", "source_uri", "reason") == [
        (f"file:{drop}/{DAY}/08:15:31_P4.png", "empty_file")
    ]


@pytest.mark.slow
def test_files_that_wait_and_names_in_other_capitals_are_told(
    spark: SparkSession, tmp_path: Path
) -> None:
    drop = drops.write(
        tmp_path / "drop",
        {
            f"I{DAY[1:]}/a_P1.png": drops.picture(1),
            f"I{DAY[1:]}/b_P1.png": drops.picture(2),
            f"I{DAY[1:]}/c_P1.png": drops.picture(3),
            "References/P1.png": drops.picture(9),
            "Verdicts.CSV": "image,verdict,reference\n"
            f"I{DAY[1:]}/a_P1.png,fail,References/P1.png\n",
            "manifest.csv": f"image,lot\nI{DAY[1:]}/a_P1.png,B7\n",
            "Manifest.csv": f"image,lot\nI{DAY[1:]}/a_P1.png,B8\n",
        },
    )
    now = time.time()
    os.utime(drop / f"I{DAY[1:]}/a_P1.png", (0, -1e9))  # 1938
    os.utime(drop / f"I{DAY[1:]}/c_P1.png", (now, now + 1e6))
    job = drops.job(spark, drop, tmp_path / "out", "ingest.settle_seconds=3600")
    run_ingest(job)
    assert job.notes == [
        "ingest: 1 files are not read, others have their names in the capitals that are "
        "configured: Manifest.csv",
        "ingest: 1 files are younger than ingest.settle_seconds and wait",
        "ingest: 1 files wait, since they were written in the future: a clock runs ahead",
    ]
    assert drops.rows(spark, tmp_path / "out", "verdicts", "verdict") == [("fail",)]
    columns = "board_id", "lot", "reference is not null"
    images = spark.read.parquet(str(tmp_path / "out" / "images")).selectExpr(*columns)
    assert [tuple(row) for row in images.collect()] == [("a", "B7", True)]
