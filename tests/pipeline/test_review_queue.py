"""What goes to the review page, and how its verdicts come back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from pcb_spark.core.errors import InputError, StoreUnreachable
from pcb_spark.lake import leases
from pcb_spark.pipeline import run_ingest, summary
from pcb_spark.pipeline.claims import QUEUE_OF_DECISIONS
from pcb_spark.pipeline.review_queue import run_review_queue
from pcb_spark.review import database, items, queue, verdicts
from tests import drops, reviews
from tests.leased import ClaimingJob, claimed
from tests.pipeline.whole_run import SETTINGS, Drop

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

    from pcb_spark.pipeline import Job


def write(job: Job, to: Path, **told: int | bool | str) -> list[items.Item]:
    """Run the job, and read what all folders hold."""
    with claimed(job, "review-queue") as own:
        run_review_queue(own, to=to, **told)  # type: ignore[arg-type]
    assert "\nreview-queue " in summary.of_run(job)
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


def test_what_an_edge_machine_left_to_people_goes_out_and_who_was_asked_is_kept(
    spark: SparkSession, copy: Job, tmp_path: Path
) -> None:
    out = Path(copy.out)
    images = {row.image_id: row for row in spark.read.parquet(f"{out}/images").collect()}
    for name in ("scores", "reviews"):
        shutil.rmtree(out / name)
    asked, cleared, gone = sorted(images)[:3]
    folder = tmp_path / "decisions"
    decide(folder, images[asked], decision="fail", review="decision", threshold=0.2)
    decide(folder, images[cleared], decision="pass", review=None, threshold=0.2)
    decide(folder, images[gone], content_sha256="of another file")
    (folder / "half.json").write_text('{"image_id": "')

    with leases.held(spark, copy.out, claim=QUEUE_OF_DECISIONS, job="q", run_id="q") as lease:
        job = ClaimingJob(spark=spark, config=copy.config, run_id=copy.run_id, lease=lease)
        run_review_queue(
            job, to=tmp_path / "queue", again=True, known_defects=2, decisions=str(folder)
        )

    # Known defects come of history, of which nothing has been scored here.
    item, *known = sorted(
        items.read(tmp_path / "queue" / copy.run_id), key=lambda each: each.known_defect
    )
    assert [each.known_defect for each in known] == [True, True]
    assert (item.image_id, item.decision, item.review) == (asked, "fail", "decision")
    assert item.certainty == pytest.approx(0.7)
    rows = drops.rows(spark, out, "reviews", "image_id", "review", "threshold", "model_version")
    assert sorted(rows) == [(asked, "decision", 0.2, "m1"), (cleared, None, 0.2, "m1")]
    assert "1 of 3 decisions are of images that aren't here yet" in job.notes
    with pytest.raises(InputError, match="there is no folder"):
        run_review_queue(copy, to=tmp_path / "queue", decisions=str(tmp_path / "nowhere"))


def decide(folder: Path, image: Row, **told: str | float | None) -> None:
    """What ``pcb-edge watch`` writes of an image, before anybody has seen it."""
    decision = {
        "image_id": image.image_id, "content_sha256": image.content_sha256, "path": "images/a.jpg",
        "probability": 0.9, "threshold": 0.1, "decision": "fail", "review": "decision",
        "review_probability": 1.0, "model_version": "m1", "spooled": True,
        "scored_at": "2026-01-01T00:00:00.000001+00:00", "unseen": [],
    }  # fmt: skip
    place = folder / image.image_id[:2] / f"{image.image_id}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({**decision, **told}) + "\n")
