from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core.layouts import Layout
from pcb_spark.ingest import image_files, revisions, verdicts
from tests import drops
from tests.rows import manifest_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

ROOT = "file:/drop"
FOLDER = "images/line=L2/lot=B7/date=2026-01-05"
NAMES = ("with space_P1.png", "größe_P2.png", "a=b_P3.png", "p%20q_P4.png", "x#y?z_P5.png")
MORNING = datetime(2026, 1, 5, 6, tzinfo=UTC)
HEADER = "image,reference,board_id,position,lot,line,captured_at,verdict,defects\n"


@dataclass(frozen=True)
class Stage:
    images: DataFrame
    rejects: DataFrame


Inspected = tuple[str, str | None]
ManifestRow = tuple[str, str | None, str | None, str | None]


def run(
    spark: SparkSession,
    files: list[Inspected],
    references: list[Inspected] | None = None,
    manifest: Sequence[ManifestRow] | None = None,
    **options: Any,
) -> Stage:
    """Describe (path, reason) files by (image, reference, board_id, captured_at) rows."""
    raw = spark.createDataFrame(
        list(manifest or []), "image string, reference string, board_id string, captured_at string"
    )
    images, golden = (
        opened(spark, [(path, fault) for path, fault in some]) for some in (files, references or [])
    )
    told = verdicts.traceability(manifest_of(raw))
    described = image_files.describe(images, told, root=ROOT, **options)
    rows = image_files.image_rows(described.where("reason is null"), golden, root=ROOT)
    faulty = revisions.reference_rejects(described.where("reason is null"), golden, root=ROOT)
    return Stage(rows, image_files.image_rejects(described).unionByName(faulty))


def opened(spark: SparkSession, files: list[Inspected]) -> DataFrame:
    """What ``inspect_files`` says of files that are 20 x 16 px, or at fault."""
    rows = []
    for path, fault in files:
        traits = Layout().read(path)
        about = (traits.line, traits.lot, traits.board_id, traits.position, None)
        rows.append(
            (path, 3, None, path.encode(), 20, 16, f"sha-{path}", fault, fault, *about,
             traits.captured_at, traits.time_fault)
        )  # fmt: skip
    return spark.createDataFrame(rows, image_files._INSPECTED)


def one_image(spark: SparkSession, path: str, *manifest: ManifestRow) -> Row:
    (row,) = run(spark, [(path, None)], manifest=list(manifest)).images.collect()
    return row


def rejects(found: Stage) -> list[tuple[Any, ...]]:
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


@pytest.mark.parametrize("text", ["soon", "05.01.2026 08:00", "1767600000", "1899-12-30 00:00:00"])
def test_unreadable_time_is_not_replaced_by_the_folder(spark: SparkSession, text: str) -> None:
    path = "images/date=2026-01-05/b1_P1.png"
    found = run(spark, [(path, None)], manifest=[(path, None, None, text)])
    assert found.images.count() == 0
    ((_, _, reason, detail, day),) = rejects(found)
    assert (reason, day) == ("capture_time_unreadable", None)
    assert text in detail


def test_time_that_is_told_counts_before_one_that_cannot_be_read(spark: SparkSession) -> None:
    path = "images/date=2026-13-45/b1_P1.png"
    row = one_image(spark, path, (path, None, None, "2026-01-05T06:00:00Z"))
    assert row["capture_date"] == date(2026, 1, 5)


def test_image_id_is_the_hash_of_the_path_in_the_drop(spark: SparkSession) -> None:
    path = f"{FOLDER}/{NAMES[0]}"
    expected = hashlib.sha256(path.encode()).hexdigest()[:32]
    assert one_image(spark, path)["image_id"] == expected


def test_image_without_any_time_is_rejected(spark: SparkSession) -> None:
    found = run(spark, [("images/b1_P1.png", None)])
    assert found.images.count() == 0
    assert rejects(found) == [
        ("file:/drop/images/b1_P1.png", "image", "capture_time_missing",
         "no captured_at in a manifest, sidecar, name or EXIF, no date= folder", None),
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
    ).withColumn("modificationTime", F.lit(MORNING))
    found = image_files.inspect_files(files, root="file:/größe/", max_pixels=320).collect()
    assert {row["modified_at"].timestamp() for row in found} == {MORNING.timestamp()}
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
        [("/d/a.png", MORNING, len(content), content)], image_files.FILES_READ
    )
    (row,) = image_files.inspect_files(files, root="/d", max_pixels=319).collect()
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


def test_capture_date_is_the_day_in_the_plants_zone(spark: SparkSession) -> None:
    path = "images/b1_P1.png"
    given = [(path, None, None, "2026-01-05T23:30:00Z")]
    (row,) = run(spark, [(path, None)], manifest=given, timezone="Europe/Berlin").images.collect()
    assert row["capture_date"] == date(2026, 1, 6)


def test_image_from_the_future_is_rejected(spark: SparkSession) -> None:
    given = [
        ("a_P1.png", None, None, "2026-01-05T06:00:00Z"),
        ("b_P1.png", None, None, "2026-01-05T06:00:01Z"),
    ]
    found = run(spark, [("a_P1.png", None), ("b_P1.png", None)], manifest=given, latest=MORNING)
    assert [row["board_id"] for row in found.images.collect()] == ["a"]
    assert rejects(found) == [
        ("file:/drop/b_P1.png", "image", "capture_time_in_future",
         "captured at 2026-01-05T06:00:01Z", date(2026, 1, 5)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "had", "pruned", "state", "reason"),
    [
        (None, [], [], "new", None),
        (None, [("sha-PATH", "2026-01-05")], [], "same", None),
        (None, [("sha-other", "2026-01-05")], [], "changed", None),
        (None, [("sha-PATH", "2026-01-04")], [], "changed", None),
        (None, [("sha-PATH", "2026-01-04"), ("sha-PATH", "2026-01-05")], [], "changed", None),
        ("truncated_image", [], [], "bad", "truncated_image"),
        ("truncated_image", [("sha-PATH", "2026-01-05")], [], "bad", "unusable_reupload"),
        (None, [], ["sha-PATH"], "pruned", None),
        ("truncated_image", [], ["sha-PATH"], "pruned", None),
        (None, [], ["sha-other"], "new", None),
        (None, [("sha-PATH", "2026-01-05")], ["sha-PATH"], "same", None),
    ],
)
def test_what_a_file_is_to_the_table(
    spark: SparkSession, fault: str | None, had: list[tuple[str, str]],
    pruned: list[str], state: str, reason: str | None,
) -> None:  # fmt: skip
    path = "date=2026-01-05/b1_P1.png"
    told = verdicts.traceability(manifest_of(spark.createDataFrame([], "image string")))
    described = image_files.describe(opened(spark, [(path, fault)]), told, root=ROOT)
    image_id = hashlib.sha256(path.encode()).hexdigest()[:32]
    existing = spark.createDataFrame(
        [(image_id, sha.replace("PATH", path), date.fromisoformat(day)) for sha, day in had],
        "image_id string, content_sha256 string, capture_date date",
    )
    gone = spark.createDataFrame(
        [(image_id, sha.replace("PATH", path)) for sha in pruned],
        "image_id string, content_sha256 string",
    )
    (row,) = image_files.compare(described, existing, gone).collect()
    assert (row["state"], row["reason"]) == (state, reason)


def test_files_that_cannot_be_opened(spark: SparkSession) -> None:
    given = [("date=2026-01-05/b1_P1.png", 0, MORNING), ("b2_P1.png", 7, MORNING)]
    found = image_files.unopened(spark, given, Layout()).collect()
    assert [(row["board_id"], row["reason"], row["length"]) for row in found] == [
        ("b1", "empty_file", 0), ("b2", "unreadable_file", 7),
    ]  # fmt: skip
