"""Paths as other programs write them, and the files that they name."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.ingest import verdict_paths
from tests.rows import manifest_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = "file:/data/pcb/drop"
IMAGE = "images/line=L1/a.png"


@pytest.mark.parametrize(
    "path",
    [
        r"images\line=L1\a.png",
        r".\images\line=L1\a.png",
        "./images/line=L1/a.png",
        "images//line=L1/./a.png",
        "images/line=L2/../line=L1/a.png",
        "images/line%3DL1/a.png",
        "images%5Cline%3DL1%5Ca.png",
        "/data/pcb/drop/images/line=L1/a.png",
        "file:/data/pcb/drop/images/line=L1/a.png",
        "file:///data/pcb/drop/images/line=L1/a.png",
        "hdfs://node:8020/data/pcb/drop/images/line=L1/a.png",
        "drop/images/line=L1/a.png",
        "pcb/drop/images/line=L1/a.png",
        "/mnt/aoi/drop/images/line=L1/a.png",
        r"D:\aoi\Drop\images\line=L1\a.png",
        r"\\server\share\drop\images\line=L1\a.png",
    ],
)
def test_spelling_of_a_path_is_seen_through(path: str) -> None:
    assert IMAGE in verdict_paths.spellings(path, ROOT)


@pytest.mark.parametrize(
    "path",
    ["/mnt/other/images/line=L1/a.png", r"D:\images\line=L1\a.png", "../images/line=L1/a.png"],
)
def test_path_of_another_place_is_none_of_the_drop(path: str) -> None:
    assert IMAGE not in verdict_paths.spellings(path, ROOT)


def test_normal_forms_are_tried_and_escapes_that_are_no_text_left_alone() -> None:
    nfd = unicodedata.normalize("NFD", "Prüfplatz/a.png")
    assert "Prüfplatz/a.png" in verdict_paths.spellings(nfd, ROOT)
    assert nfd in verdict_paths.spellings("Prüfplatz/a.png", ROOT)
    assert verdict_paths.spellings("100%FC/a.png", ROOT) == ["100%FC/a.png"]


def located(
    spark: SparkSession, written: list[str], files: list[str]
) -> list[tuple[str | None, str | None, str | None]]:
    """Path, reason and fault of each row, in the order of ``written``."""
    manifest = manifest_of(spark.createDataFrame([(path,) for path in written], "image string"))
    known = verdict_paths.files(spark.createDataFrame([(path,) for path in files], "path string"))
    readings = verdict_paths.read(manifest, "relative_path", root=ROOT)
    found = verdict_paths.correct(manifest, "relative_path", readings, known)
    rows = found.orderBy("row_number").select("relative_path", "fault_reason", "fault").collect()
    return [(row[0], row[1], row[2]) for row in rows]


def test_paths_are_led_back_to_their_files(spark: SparkSession) -> None:
    files = [IMAGE, "images/Größe.png", "images/100%25.png", "images/100%.png"]
    written = [
        r"images\line=L1\a.png", "IMAGES/LINE=L1/A.PNG", unicodedata.normalize("NFD", files[1]),
        "images/GRÖSSE.png", "images/100%25.png", "images/gone.png",
    ]  # fmt: skip
    paths = [path for path, _, _ in located(spark, written, files)]
    assert paths == [IMAGE, IMAGE, files[1], files[1], files[2], "images/gone.png"]


def test_path_that_fits_two_files_names_none(spark: SparkSession) -> None:
    files = ["images/a.png", "images/A.png", "images/b.png", "old/drop/images/b.png"]
    exact, cased, folder = located(
        spark, ["images/A.png", "IMAGES/a.png", "/x/drop/old/drop/images/b.png"], files
    )
    assert exact == ("images/A.png", None, None)
    assert cased == (
        None, "verdict_ambiguous", "its image, IMAGES/a.png, may be images/A.png or images/a.png",
    )  # fmt: skip
    assert folder[:2] == (None, "verdict_ambiguous")


def test_others_of_the_drop_decide_whether_a_path_fits_one_file_of_a_batch(
    spark: SparkSession,
) -> None:
    manifest = manifest_of(spark.createDataFrame([("IMAGES/a.png",)], "image string"))
    readings = verdict_paths.read(manifest, "relative_path", root=ROOT)

    def files(*paths: str) -> DataFrame:
        return verdict_paths.files(spark.createDataFrame([(p,) for p in paths], "path string"))

    def path(*others: str) -> str | None:
        found = verdict_paths.correct_some(
            manifest, "relative_path", readings, files("images/a.png"), lambda: files(*others)
        )
        return found.select(F.first("relative_path")).collect()[0][0]  # type: ignore[no-any-return]

    assert path("images/b.png") == "images/a.png"
    assert path("images/A.png") is None
