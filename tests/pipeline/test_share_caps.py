from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import Job, share_caps
from pcb_spark.pipeline.config import load
from tests import edge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))
OWN = edge.model().manifest
#: Half of 10,000 out-of-fold images lay below the threshold, so that a night's margin is one of 4.
MANIFEST = dataclasses.replace(
    OWN, threshold={"value": 0.9, "slips": 0, "cleared_good": 5000, "defects": 100, "good": 9900}
)


def scores(spark: SparkSession, *nights: tuple[date, list[float], str, bool]) -> DataFrame:
    """Rows of ``scores`` with what caps are made of: date, scores, model, whether trained on."""
    rows = [
        (f"{day}-{number}", day, probability, model, trained)
        for day, night, model, trained in nights
        for number, probability in enumerate(night)
    ]
    made = spark.createDataFrame(
        rows,
        "image_id string, capture_date date, probability double, model_sha256 string, "
        "in_training_window boolean",
    )
    missing = [field for field in schemas.SCORES.fields if field.name not in made.columns]
    filled = [F.lit(None).cast(field.dataType).alias(field.name) for field in missing]
    return made.select("*", *filled).select(schemas.SCORES.names)


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> Job:
    """Monday's scores are .1, .2, .3, .4; the model knows Tuesday, which another scored, too."""
    config = load(None, [f"paths.out='{tmp_path}'"])
    job = Job(spark=spark, config=config, run_id="r1", started_at=datetime(2026, 3, 4, tzinfo=UTC))
    table = scores(
        spark,
        (MONDAY, [0.1, 0.2, 0.3, 0.4], OWN.model_sha256, False),
        (TUESDAY, [0.7, 0.8], OWN.model_sha256, True),
        (TUESDAY, [0.6, 0.6], "b" * 64, False),
    )
    table.write.partitionBy(names.CAPTURE_DATE).parquet(job.table("scores"))
    return job


def kept(job: Job) -> list[tuple[Any, ...]]:
    found = tables.read(job.spark, job.table("share_caps"), schemas.SHARE_CAPS)
    return [(row.capture_date, row.night, row.value, row.run_id) for row in found.collect()]


def test_a_day_to_come_is_capped_by_the_last_night_that_the_model_had_not_been_shown(
    job: Job,
) -> None:
    found = share_caps.of_day(job, MANIFEST, WEDNESDAY)
    assert found is not None
    assert (found.night, found.model_sha256) == ("2026-03-02", OWN.model_sha256)
    assert (found.pooled.share, found.pooled.value) == pytest.approx((0.75, 0.4), abs=0.01)
    assert kept(job) == [(WEDNESDAY, MONDAY, pytest.approx(0.4), "r1")]

    assert share_caps.of_day(job, MANIFEST, WEDNESDAY) == found
    assert len(kept(job)) == 1
    assert share_caps.of_day(job, MANIFEST, MONDAY) is None


def test_a_night_decides_by_the_record_that_an_export_told_ahead(job: Job) -> None:
    told = share_caps.of_day(job, MANIFEST, WEDNESDAY)
    night = dataclasses.replace(job, run_id="r2")
    scored = scores(job.spark, (WEDNESDAY, [0.3, 0.5], OWN.model_sha256, False))
    by_date = share_caps.limit(night, scored, MANIFEST, [WEDNESDAY])
    assert told is not None
    assert by_date[WEDNESDAY].pooled == told.pooled.value < 0.9
    assert [run for *_, run in kept(job)] == ["r1"]


def test_a_model_that_has_had_no_night_has_no_cap(job: Job) -> None:
    new = dataclasses.replace(MANIFEST, model_sha256="c" * 64)
    assert share_caps.of_day(job, new, WEDNESDAY) is None
    assert not tables.exists(job.spark, job.table("share_caps"))
