"""Behind the gate: what it asks for, what comes back, and what the next training makes of it."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import Job, run_score, run_train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

#: The first day that operators see only what the gate asks for.
GATED_FROM = date(2026, 1, 13)
NOW = datetime(2026, 1, 20, tzinfo=UTC)


def read(job: Job, name: str, schema: object) -> dict[str, dict[str, object]]:
    rows = tables.read(job.spark, job.table(name), schema).collect()  # type: ignore[arg-type]
    return {row[names.IMAGE_ID]: row.asDict() for row in rows}


def leave_verdicts(job: Job, keep: object) -> None:
    """Leave the verdicts for which the condition holds; the others aren't there yet."""
    verdicts = tables.read(job.spark, job.table("verdicts"), schemas.VERDICTS)
    dated = verdicts.join(
        tables.read(job.spark, job.table("images"), schemas.IMAGES).select(
            names.IMAGE_ID, names.CAPTURE_DATE
        ),
        names.IMAGE_ID,
    )
    kept = dated.withColumn(names.VERDICT, F.when(keep, F.col(names.VERDICT)))  # type: ignore[arg-type]
    tables.replace(kept, job.table("verdicts"), schemas.VERDICTS)


def test_verdicts_that_the_gate_asked_for_weigh_what_they_stand_for(
    spark: SparkSession, copy: Job
) -> None:
    asked_for = {"control_share": 0.3, "since": GATED_FROM}
    scoring = copy.config.scoring.model_copy(update=asked_for)
    job = dataclasses.replace(copy, config=copy.config.model_copy(update={"scoring": scoring}))
    verdicts = tables.read(spark, job.table("verdicts"), schemas.VERDICTS).collect()
    leave_verdicts(job, F.col(names.CAPTURE_DATE) < F.lit(GATED_FROM))
    shutil.rmtree(Path(job.config.paths.out) / "reviews")  # of the run before

    run_score(job)

    scores, reviews = (
        read(job, name, schema)
        for name, schema in (("scores", schemas.SCORES), ("reviews", schemas.REVIEWS))
    )
    night = {image for image, row in scores.items() if row["capture_date"] >= GATED_FROM}  # type: ignore[operator]
    gated = {image: row for image, row in reviews.items() if image in night}
    assert gated.keys() == night
    assert all(gated[image]["review"] == scores[image]["review"] for image in night)
    reasons = {row["review"] for row in gated.values()}
    assert reasons >= {None, "control", "decision"}
    assert reasons & {"audit", "audit_high"}

    every = spark.createDataFrame(verdicts, schemas.VERDICTS)
    tables.replace(every, job.table("verdicts"), schemas.VERDICTS)
    asked = [image for image, row in gated.items() if row["review"] is not None]
    known = (F.col(names.CAPTURE_DATE) < F.lit(GATED_FROM)) | F.col(names.IMAGE_ID).isin(asked)
    leave_verdicts(job, known)
    run_train(job)

    judged = read(job, "out_of_fold", schemas.OUT_OF_FOLD)
    behind = {image: row for image, row in judged.items() if image in gated}
    assert behind
    for image, row in behind.items():
        review, likely = (gated[image][name] for name in ("review", "review_probability"))
        assert row["gated"] == (review != "control")
        assert row["weight"] == pytest.approx(1 / likely)  # type: ignore[operator]
    before = [row for image, row in judged.items() if image not in night]
    assert {(row["gated"], row["weight"]) for row in before} == {(False, 1.0)}
    chosen = bundle.read(Path(job.config.paths.out) / "bundle").manifest.threshold
    unselected = [row for row in judged.values() if not row["gated"]]
    assert chosen["defects"] == sum(row["verdict"] == "fail" for row in unselected)
    assert chosen["defects"] < sum(row["verdict"] == "fail" for row in judged.values())


def test_defects_seen_behind_the_gate_are_told(copy: Job) -> None:
    """Ten control boards' defects had been cleared: nobody should clear by this model."""
    fails = [
        image
        for image, row in read(copy, "verdicts", schemas.VERDICTS).items()
        if row["verdict"] == "fail"
    ][:10]
    version = bundle.read(Path(copy.config.paths.out) / "bundle").manifest.model_version
    rows = [
        (image, 0.01, 0.2, "pass", "control", 0.06, 0.06, version, "r", NOW, GATED_FROM)
        for image in fails
    ]
    reviews = copy.spark.createDataFrame(rows, schemas.REVIEWS)
    tables.replace(reviews, copy.table("reviews"), schemas.REVIEWS, by_date=True)

    run_score(copy)

    (said,) = copy.notes
    assert said.startswith("slip alarm: more defects slip than the 20.0% promised")
    assert "10 of 10 defects seen behind this model's gate were cleared" in said
