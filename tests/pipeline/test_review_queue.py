"""What goes to the review page, and how its verdicts come back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pcb_spark.core.errors import InputError, StoreUnreachable
from pcb_spark.pipeline import run_ingest
from pcb_spark.pipeline.review_queue import run_review_queue
from pcb_spark.review import database, items, queue, verdicts
from tests import drops, reviews
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job


def write(job: Job, to: Path, **told: int | bool) -> list[items.Item]:
    """Run the job, and read what all folders hold."""
    with claimed(job, "review-queue") as own:
        run_review_queue(own, to=to, **told)  # type: ignore[arg-type]
    return [item for folder in items.folders(to) for item in items.read(folder)]


def asked(spark: SparkSession, job: Job) -> set[str]:
    """Images that somebody has to look at, and nobody has."""
    for name in ("scores", "verdicts"):
        spark.read.parquet(job.table(name)).createOrReplaceTempView(name)
    found = spark.sql(
        "SELECT image_id FROM scores LEFT JOIN verdicts USING (image_id)"
        " WHERE review IS NOT NULL AND verdict IS NULL"
    )
    return {row[0] for row in found.collect()}


def test_what_nobody_has_decided_goes_out_with_pictures_and_its_verdict_comes_back(
    spark: SparkSession, copy: Job, drop: Drop, tmp_path: Path
) -> None:
    found = write(copy, tmp_path / "queue", known_defects=3)
    known = [item for item in found if item.known_defect]
    waiting = [item for item in found if not item.known_defect]

    assert len(known) == 3
    assert {item.image_id for item in waiting} == asked(spark, copy)
    for item in found:
        assert item.pictures.image.startswith(f"{copy.run_id}/")
        with Image.open(tmp_path / "queue" / item.pictures.image) as picture:
            assert picture.size == (item.pictures.width, item.pictures.height)
    compared = [item for item in found if item.pictures.heat]
    assert len(compared) > len(found) / 2
    assert all(0 < item.pictures.x < 1 for item in compared if item.pictures.x is not None)

    url = f"sqlite:///{tmp_path}/verdicts.db"
    engine = database.open_store(url)
    queue.load(engine, found)
    one = waiting[0]
    entry = reviews.entry(one.item_id, "DefectConfirmed", defects=("bridge",))
    verdicts.enter(engine, reviews.ANNA, entry)
    engine.dispose()
    told = f"ingest.verdict_store='{url}'"
    job = drops.job(spark, drop.root, Path(copy.out), *SETTINGS, told)
    with claimed(job, "ingest") as own:
        run_ingest(own, refusing=False)

    columns = ("image_id", "verdict", "defects", "operator_id")
    rows = drops.rows(spark, Path(copy.out), "verdicts", *columns)
    assert (one.image_id, "fail", "bridge", "op-anna") in rows
    assert one.image_id not in asked(spark, copy)
    # A second run under the same name would find its folder there, if it wrote anything.
    assert write(copy, tmp_path / "queue", known_defects=3) == found


def test_a_place_that_cant_be_written_is_told(copy: Job, tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("a file")

    with pytest.raises(InputError, match="can't be written"):
        write(copy, tmp_path / "queue")


def test_a_store_that_is_not_there_stops_ingest(
    spark: SparkSession, drop: Drop, tmp_path: Path
) -> None:
    told = f"ingest.verdict_store='sqlite:///{tmp_path}/verdicts.db'"

    with pytest.raises(StoreUnreachable, match="there is no verdict store"):
        drops.ingest(spark, drop.root, tmp_path / "out", told)
    assert not (tmp_path / "verdicts.db").exists()
