from __future__ import annotations

import dataclasses
import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.pipeline import approval, run_describe, run_prune, summary
from tests import drops, registries
from tests.leased import claimed
from tests.models import MANIFEST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
FEBRUARY = date(2026, 2, 1)
JPEG = drops.picture(90, file_format="JPEG")


def image(board: str, day: int) -> str:
    return f"images/date=2026-01-0{day}/{board}_P1.png"


@pytest.fixture
def plant(spark: SparkSession, tmp_path: Path) -> Path:
    """A drop of three days and what ingest, featurize and score made of it."""
    verdicts = [f"{image(board, day)},pass,kim" for board, day in (("a", 5), ("d", 6), ("e", 7))]
    drops.write(
        tmp_path / "drop",
        {
            image("a", 5): drops.picture(1),
            image("b", 5): "no picture",
            image("c", 5): JPEG[: len(JPEG) // 2],
            image("d", 6): drops.picture(4),
            image("e", 7): drops.picture(5),
            "verdicts.csv": "image,verdict,operator_id\n" + "\n".join(verdicts),
        },
    )
    out = tmp_path / "out"
    drops.ingest(spark, tmp_path / "drop", out)
    images = tables.read(spark, str(out / "images"), schemas.IMAGES)
    features = images.withColumns(
        {names.FEATURES: F.array(F.lit(1.0)), names.FEATURE_SET: F.lit("f" * 64)}
    )
    tables.replace(features, str(out / "features"), schemas.FEATURES_TABLE, by_date=True)
    return tmp_path


def boards(spark: SparkSession, plant: Path) -> list[str]:
    return [row[0] for row in drops.rows(spark, plant / "out", "images", "board_id")]


def rejected(spark: SparkSession, plant: Path) -> list[str]:
    found = drops.rows(spark, plant / "out", "rejects", "source_uri")
    return [uri.rpartition("/")[2] for (uri,) in found]


def verified(spark: SparkSession, plant: Path) -> int:
    return len(drops.rows(spark, plant / "out", "verdicts", "image_id"))


def ingest(spark: SparkSession, plant: Path, *, anew: bool = False) -> tuple[int, int, int]:
    """Ingest again, ``anew`` with files that were all written again as they were."""
    if anew:
        for path in (plant / "drop" / "images").rglob("*.png"):
            os.utime(path, (1e9, path.stat().st_mtime + 1))
    counts = drops.ingest(spark, plant / "drop", plant / "out")
    return counts.rows_in, counts.rows_out, counts.rows_rejected


def prune(spark: SparkSession, plant: Path, before: date, **options: bool) -> dict[str, str]:
    job = drops.job(spark, plant / "drop", plant / "out")
    with claimed(job, "prune") as own:
        going = run_prune(own, before=before, **options)
    return {name: str(what) for name, what in going.items() if what.rows}


@pytest.mark.slow
def test_days_go_and_do_not_come_back_from_the_drop(spark: SparkSession, plant: Path) -> None:
    searched = str(plant / "out" / "tune_features_difference")
    features = tables.read(spark, str(plant / "out" / "features"), schemas.FEATURES_TABLE)
    tables.replace(features, searched, schemas.FEATURES_TABLE)
    going = {
        "images": "1 rows of 1 days, 2026-01-05 to 2026-01-05",
        "features": "1 rows of 1 days, 2026-01-05 to 2026-01-05",
        "tune_features_difference": "1 rows of 1 days, 2026-01-05 to 2026-01-05",
        "rejects": "2 rows of 1 days, 2026-01-05 to 2026-01-05",
        "verdicts": "1 rows",
        "files": "3 rows",
    }
    assert prune(spark, plant, TUESDAY) == going
    assert boards(spark, plant) == ["d", "e"]
    assert (rejected(spark, plant), verified(spark, plant)) == ([], 2)
    for name in ("features", "tune_features_difference"):
        assert len(drops.rows(spark, plant / "out", name, "image_id")) == 2
    text = summary.of_run(drops.job(spark, plant / "drop", plant / "out"))
    assert "prune           3 images rows in = 2 out + 1 removed" in text
    assert "prune           2 rejects rows in = 0 out + 2 removed" in text
    assert "tune_features_none" not in text

    # The files still lie in the drop: neither the listing brings them back nor a new time of the
    # same bytes; and their verdicts are no rejects.
    assert ingest(spark, plant) == (0, 0, 0)
    assert ingest(spark, plant, anew=True) == (2, 2, 0)
    assert boards(spark, plant) == ["d", "e"]
    assert (rejected(spark, plant), verified(spark, plant)) == ([], 2)

    # What is uploaded anew is new, and its verdict counts again.
    (plant / "drop" / image("a", 5)).write_bytes(drops.picture(77))
    assert ingest(spark, plant) == (1, 1, 0)
    assert boards(spark, plant) == ["a", "d", "e"]
    assert verified(spark, plant) == 3


@pytest.mark.slow
def test_what_would_go_what_the_bundle_keeps_and_an_end_of_it_all(
    spark: SparkSession, plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in plant.rglob("*") if path.is_file()}
    prune(spark, plant, WEDNESDAY, dry_run=True)
    assert capsys.readouterr().out.splitlines() == [
        f"prune --before 2026-01-07 would remove from {plant / 'out'}",
        "  images    2 rows of 2 days, 2026-01-05 to 2026-01-06",
        "  features  2 rows of 2 days, 2026-01-05 to 2026-01-06",
        "  rejects   2 rows of 1 days, 2026-01-05 to 2026-01-05",
        "  verdicts  2 rows",
        "  files     4 rows",
    ]
    prune(spark, plant, MONDAY, dry_run=True)
    nothing = f"nothing in {plant / 'out'} was captured before 2026-01-05\n"
    assert capsys.readouterr().out == nothing
    assert {path: path.read_bytes() for path in plant.rglob("*") if path.is_file()} == before

    write_bundle(plant, first="2026-01-06", last="2026-01-06")
    for dry_run in (True, False):
        with pytest.raises(InputError) as caught:
            prune(spark, plant, WEDNESDAY, dry_run=dry_run)
    message = str(caught.value)
    assert "prune --before 2026-01-07 would take 1 days that the model 2026-02-27-" in message
    assert "expected: images from 2026-01-06 to 2026-01-06 stay" in message
    assert "next: --before 2026-01-06 at the latest" in message
    assert boards(spark, plant) == ["a", "d", "e"]
    prune(spark, plant, TUESDAY)
    assert boards(spark, plant) == ["d", "e"]
    prune(spark, plant, WEDNESDAY, force=True)
    assert boards(spark, plant) == ["e"]

    prune(spark, plant, FEBRUARY, force=True)
    found: list[Any] = tables.read(spark, str(plant / "out" / "images"), schemas.IMAGES).collect()
    assert found == []
    assert ingest(spark, plant) == (0, 0, 0)
    with pytest.raises(InputError, match="the images table is empty"):
        run_describe(drops.job(spark, plant / "drop", plant / "out"))
    assert prune(spark, plant, FEBRUARY) == {}


@pytest.mark.slow
def test_days_of_the_champion_and_of_the_one_before_it_stay(
    spark: SparkSession, plant: Path
) -> None:
    job, opened = drops.job(spark, "drop", plant / "out"), registries.opened(plant / "out")
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        write_bundle(plant, first=str(day), last=str(day))
        if day == WEDNESDAY:
            break  # a challenger: nobody promoted it
        shutil.copytree(plant / "out" / "bundle", plant / f"{day}" / "bundle")
        entry = dataclasses.replace(registries.entry(plant / "x"), folder=plant / f"{day}")
        version = opened.register(entry)
        approval.promote(job, opened, version, approval.Decided(action="promote", who="me"))

    with pytest.raises(InputError, match="1 days that the champion of before 2026-02-27-"):
        prune(spark, plant, TUESDAY)
    with pytest.raises(InputError, match="1 days that the champion 2026-02-27-"):
        prune(spark, plant, WEDNESDAY)
    assert prune(spark, plant, WEDNESDAY, force=True)["images"].startswith("2 rows")


def write_bundle(plant: Path, *, first: str, last: str) -> None:
    window = MANIFEST["training_window"] | {"from": first, "until": last}
    spec = {"feature_count": 1, "levels": ["layer1"], "pooling": ["max"], "difference": True}
    parts = {"graph.onnx": b"g", "features.onnx": b"f", "classifier.txt": b"c"}
    bundle.write(plant / "out" / "bundle", MANIFEST | spec | {"training_window": window}, parts)


@pytest.mark.slow
def test_a_prune_that_was_killed_is_completed_by_the_next(
    spark: SparkSession, plant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops.kill_at(monkeypatch, ImageStore, "drop", 1)
    with pytest.raises(drops.Killed):
        prune(spark, plant, TUESDAY)
    monkeypatch.undo()
    assert boards(spark, plant) == ["a", "d", "e"]
    assert ingest(spark, plant, anew=True) == (3, 3, 0)
    assert prune(spark, plant, TUESDAY)["images"].startswith("1 rows")
    assert ingest(spark, plant, anew=True) == (2, 2, 0)
    assert boards(spark, plant) == ["d", "e"]
