from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark import ingest, verdicts
from pcb_spark.errors import InputError
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

ROOT = "file:/drop"
FOLDER = "images/line=L2/lot=B7/date=2026-01-05"
NAMES = ("with space_P1.png", "größe_P2.png", "a=b_P3.png", "p%20q_P4.png", "x#y?z_P5.png")
HEADER = "image,reference,board_id,position,lot,line,captured_at,verdict,defects\n"

Inspected = tuple[str, str | None]
ManifestRow = tuple[str, str | None, str | None, str | None]


def run(
    spark: SparkSession,
    files: list[Inspected],
    references: list[Inspected] | None = None,
    manifest: list[ManifestRow] | None = None,
) -> ingest.Ingested:
    """Ingest (path, reason) files with (image, reference, board_id, captured_at) rows."""
    raw = spark.createDataFrame(
        manifest or [], "image string, reference string, board_id string, captured_at string"
    )
    columns = (
        "relative_path string, length long, content binary, width int, height int, "
        "content_sha256 string, reason string, detail string"
    )
    images, golden = (
        spark.createDataFrame(
            [(path, 3, path.encode(), 20, 16, f"sha-{path}", fault, fault) for path, fault in some],
            columns,
        )
        for some in (files, references or [])
    )
    read = verdicts.read_manifest(raw.coalesce(1), "verdicts.csv")
    return ingest.ingest(images, golden, read, root=ROOT)


def one_image(spark: SparkSession, path: str, *manifest: ManifestRow) -> Row:
    (row,) = run(spark, [(path, None)], manifest=list(manifest)).images.collect()
    return row


def rejects(found: ingest.Ingested) -> list[tuple[Any, ...]]:
    columns = "source_uri", "kind", "reason", "detail", "capture_date"
    return sorted(tuple(row) for row in found.rejects.select(*columns).collect())


def test_path_tells_what_the_verdict_file_does_not(spark: SparkSession) -> None:
    row = one_image(spark, "images/line=L2/lot=B7/date=2026-01-05/board_12_R7.jpg")
    assert (row["line"], row["lot"], row["board_id"], row["position"]) == (
        "L2", "B7", "board_12", "R7",
    )  # fmt: skip
    assert row["captured_at"].isoformat() == "2026-01-05T00:00:00"
    assert row["capture_date"] == date(2026, 1, 5)
    assert row["source_uri"] == "file:/drop/images/line=L2/lot=B7/date=2026-01-05/board_12_R7.jpg"


def test_verdict_file_wins_over_the_path(spark: SparkSession) -> None:
    path = "images/date=2026-01-05/b1_P1.png"
    row = one_image(spark, path, (path, None, "other", "2026-01-06T23:30:00-01:00"))
    assert (row["board_id"], row["position"]) == ("other", "P1")
    assert row["capture_date"] == date(2026, 1, 7)


def test_unreadable_time_falls_back_to_the_folder(spark: SparkSession) -> None:
    path = "images/date=2026-01-05/b1_P1.png"
    assert one_image(spark, path, (path, None, None, "soon"))["capture_date"] == date(2026, 1, 5)


@pytest.mark.parametrize(
    ("name", "board", "position"),
    [("b1.png", "b1", None), ("b1_", "b1_", None), ("b.1_P.2.png", "b.1", "P.2")],
)
def test_board_and_position_of_odd_names(
    spark: SparkSession, name: str, board: str, position: str | None
) -> None:
    row = one_image(spark, f"images/date=2026-01-05/{name}")
    assert (row["board_id"], row["position"]) == (board, position)


def test_image_id_is_the_hash_of_the_path_in_the_drop(spark: SparkSession) -> None:
    path = f"{FOLDER}/{NAMES[0]}"
    expected = hashlib.sha256(path.encode()).hexdigest()[:32]
    assert one_image(spark, path)["image_id"] == expected


def test_image_without_any_time_is_rejected(spark: SparkSession) -> None:
    found = run(spark, [("images/date=2026-13-45/b1_P1.png", None)])
    assert found.images.count() == 0
    assert rejects(found) == [
        ("file:/drop/images/date=2026-13-45/b1_P1.png", "image", "capture_time_missing",
         "no captured_at in the verdict file and no date= folder", None),
    ]  # fmt: skip


def test_faulty_file_is_rejected_with_its_day(spark: SparkSession) -> None:
    found = run(spark, [("images/date=2026-01-05/b1_P1.png", "truncated_image")])
    assert found.images.count() == 0
    assert rejects(found) == [
        ("file:/drop/images/date=2026-01-05/b1_P1.png", "image", "truncated_image",
         "truncated_image", date(2026, 1, 5)),
    ]  # fmt: skip


def test_references_are_attached_and_faulty_ones_rejected_once(spark: SparkSession) -> None:
    paths = [f"images/date=2026-01-05/b{number}_P1.png" for number in range(5)]
    wanted = ["ref/good.png", "ref/bad.png", "ref/bad.png", "ref/gone.png", None]
    found = run(
        spark,
        [(path, None) for path in paths],
        [("ref/good.png", None), ("ref/bad.png", "empty_file"), ("ref/spare.png", "empty_file")],
        [(path, ref, None, None) for path, ref in zip(paths, wanted, strict=True)],
    )
    columns = "source_uri", "reference", "reference_uri", "reference_sha256"
    images = sorted(tuple(row) for row in found.images.select(*columns).collect())
    assert images == [
        ("file:/drop/images/date=2026-01-05/b0_P1.png", b"ref/good.png",
         "file:/drop/ref/good.png", "sha-ref/good.png"),
        *((f"file:/drop/images/date=2026-01-05/b{number}_P1.png", None, None, None)
          for number in (1, 2, 3, 4)),
    ]  # fmt: skip
    day = date(2026, 1, 5)
    assert rejects(found) == [
        ("file:/drop/ref/bad.png", "reference", "reference_unusable", "empty_file: empty_file",
         day),
        ("file:/drop/ref/gone.png", "reference", "reference_missing", "no such file in the drop",
         day),
    ]  # fmt: skip


def test_files_are_opened_and_named_by_their_path_below_the_drop(spark: SparkSession) -> None:
    content = drops.picture()
    files = spark.createDataFrame(
        [("file:/größe/a b.png", len(content), content), ("file:/größe/c.png", 4, b"text")],
        "path string, length long, content binary",
    )
    found = ingest.inspect_files(files, root="file:/größe/", max_pixels=320).collect()
    first, second = sorted(found, key=lambda row: str(row["relative_path"]))
    assert (first["relative_path"], first["width"], first["height"]) == ("a b.png", 20, 16)
    assert (first["content"], first["reason"]) == (content, None)
    assert first["content_sha256"] == hashlib.sha256(content).hexdigest()
    assert (second["relative_path"], second["width"], second["reason"]) == (
        "c.png", None, "not_an_image",
    )  # fmt: skip


def test_max_pixels_is_the_largest_that_passes(spark: SparkSession) -> None:
    content = drops.picture()
    files = spark.createDataFrame(
        [("/d/a.png", len(content), content)], "path string, length long, content binary"
    )
    (row,) = ingest.inspect_files(files, root="/d", max_pixels=319).collect()
    assert row["reason"] == "too_many_pixels"


def test_drop_becomes_tables_with_balanced_books(spark: SparkSession, tmp_path: Path) -> None:
    grey, golden = drops.picture(90, file_format="JPEG"), drops.picture(200)
    drop = drops.write(
        tmp_path / "drop",
        {
            "images/line=L1/date=2026-01-05/b1_P1.jpg": grey,
            "images/line=L1/date=2026-01-06/b2_P1.png": golden,
            "images/line=L1/date=2026-01-06/b3_P1.png": b"no picture",
            "references/P1.png": golden,
            "verdicts.csv": HEADER
            + "images/line=L1/date=2026-01-05/b1_P1.jpg,references/P1.png,b1,P1,lot-1,L1,"
            "2026-01-05T06:00:00Z,fail,bridge\n"
            "images/line=L1/date=2026-01-06/b2_P1.png,,b2,P1,lot-1,L1,2026-01-06T06:00:00Z,pass,\n"
            "images/line=L1/date=2026-01-06/b9_P1.png,,b9,P1,lot-1,L1,2026-01-06T06:00:00Z,pass,\n",
        },
    )
    out = tmp_path / "out"
    counts = drops.ingest(spark, drop, out)
    assert (counts.rows_in, counts.rows_out, counts.rows_rejected) == (3, 2, 1)
    assert drops.rows(spark, out, "images", "board_id", "lot", "width", "image", "reference") == [
        ("b1", "lot-1", 20, bytearray(grey), bytearray(golden)),
        ("b2", "lot-1", 20, bytearray(golden), None),
    ]
    assert drops.rows(spark, out, "verdicts", "verdict", "defects") == [
        ("fail", "bridge"),
        ("pass", None),
    ]
    assert drops.rows(spark, out, "rejects", "kind", "reason", "stage", "length", "run_id") == [
        ("image", "not_an_image", "ingest", 10, drops.RUN_ID),
        ("verdict", "verdict_without_image", "ingest", None, drops.RUN_ID),
    ]
    books = "job", "kind", "rows_in", "rows_out", "rows_rejected"
    assert drops.rows(spark, out, "runs", *books) == [
        ("ingest", "image", 3, 2, 1),
        ("ingest", "verdict", 3, 2, 1),
    ]
    seconds = spark.read.parquet(str(out / "images")).selectExpr("min(unix_seconds(captured_at))")
    assert seconds.collect()[0][0] == datetime(2026, 1, 5, 6, tzinfo=UTC).timestamp()


@pytest.mark.slow
def test_odd_names_keep_their_id_when_the_drop_moves(spark: SparkSession, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{FOLDER}/{name}": drops.picture() for name in NAMES}
    files["verdicts.csv"] = "image,verdict\n" + "".join(f"{FOLDER}/{n},pass\n" for n in NAMES)
    found = []
    for folder in ("drop", "größer %20 = moved"):
        drop, out = drops.write(tmp_path / folder, files), tmp_path / f"out of {folder}"
        assert drops.ingest(spark, drop, out).rows_out == len(NAMES)
        images = drops.rows(spark, out, "images", "image_id", "source_uri")
        judged = drops.rows(spark, out, "verdicts", "image_id", "verdict")
        assert [image for image, _ in images] == [image for image, _ in judged]
        assert {uri for _, uri in images} == {f"file:{drop}/{FOLDER}/{name}" for name in NAMES}
        found.append(judged)
    assert found[0] == found[1]


def test_drop_may_be_relative_and_without_an_images_folder(
    spark: SparkSession, tmp_path: Path
) -> None:
    drop = drops.write(
        tmp_path / "drop",
        {
            "L1/b1_P1.PNG": drops.picture(),
            "L1/b2_P1.jpeg": b"",
            "references/P1.png": drops.picture(),
            "L1/notes.txt": "no picture, and not named like one",
            "verdicts.csv": "image,captured_at\nL1/b1_P1.PNG,2026-01-05\n",
        },
    )
    counts = drops.ingest(spark, os.path.relpath(drop), tmp_path / "out")
    assert (counts.rows_in, counts.rows_out, counts.rows_rejected) == (2, 1, 1)
    found = drops.rows(spark, tmp_path / "out", "images", "source_uri")
    assert found == [(f"file:{drop}/L1/b1_P1.PNG",)]


@pytest.mark.slow
def test_images_are_replaced_by_the_next_ingest_unless_none_can_be_used(
    spark: SparkSession, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first, second, empty = (
        drops.write(tmp_path / name, {f"{FOLDER}/{name}_P1.png": content})
        for name, content in [("b1", drops.picture()), ("b2", drops.picture()), ("b3", b"")]
    )
    drops.ingest(spark, first, out)
    drops.ingest(spark, second, out)
    cached = len(spark.sparkContext._jsc.getPersistentRDDs())
    with pytest.raises(InputError, match="none of the 1 images of the drop can be used"):
        drops.ingest(spark, empty, out)
    assert len(spark.sparkContext._jsc.getPersistentRDDs()) == cached
    assert drops.rows(spark, out, "images", "board_id") == [("b2",)]
    assert drops.rows(spark, out, "rejects", "reason") == [("empty_file",)]
    assert drops.rows(spark, out, "runs", "kind", "rows_in") == [
        ("image", 1),
        ("image", 1),
        ("verdict", 0),
        ("verdict", 0),
    ]
