"""What the days of a training window were like: the monitor's record in the model bundle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names, policy
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES, IMAGES, OUT_OF_FOLD, REJECTS, VERDICTS
from pcb_spark.monitor import numbers, reference

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.core.pairs import Reading
    from pcb_spark.monitor.reference import Reference
    from pcb_spark.pipeline.job import Job

#: Between the names of several kinds of defects of an image.
_KINDS = r"\|"


def learn(job: Job, features: DataFrame, classifier: str, reading: Reading) -> Reference:
    """Learn from the days that have out-of-fold scores, since no other score is of new images.

    Parameters
    ----------
    features : of the images of training, ``image_id`` and ``features``.
    classifier : LightGBM's text, which says what features count.
    """
    scores = tables.read(job.spark, job.table(OUT_OF_FOLD), schemas.OUT_OF_FOLD)
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    judged = images.join(scores.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")
    chosen = numbers.sampled(judged, job.config.monitor.sample)
    days = sorted(row[0] for row in chosen.select(names.CAPTURE_DATE).distinct().collect())
    indices = numbers.gaining_most(classifier, job.config.monitor.features)
    frame = numbers.frame(
        images.join(F.broadcast(chosen.select(names.IMAGE_ID)), names.IMAGE_ID, "left_semi"),
        scores, features, indices,
        max_pixels=job.config.ingest.max_pixels, bit_depth=reading.bit_depth,
    )  # fmt: skip
    made = tables.read(job.spark, job.table(FEATURES), schemas.FEATURES_TABLE)
    counts = images.where(F.col(names.CAPTURE_DATE).isin(days)).join(
        made.select(names.IMAGE_ID, F.lit(0).alias("unscorable")), names.IMAGE_ID, "left"
    )
    return reference.learn(
        frame,
        counts_of(counts.withColumn("unscorable", F.coalesce("unscorable", F.lit(1)))),
        numbers=numbers.names_of(indices),
        features=indices,
        unreadable=unreadable(job, days),
        lag_hours=[*lags(job, days).values()],
        known=_known(job, images, days),
    )


def counts_of(rows: DataFrame) -> pd.DataFrame:
    """Images and unscorable ones, by day and line, of rows with ``unscorable`` 0 or 1."""
    grouped = rows.groupBy(names.CAPTURE_DATE, names.LINE)
    found: pd.DataFrame = grouped.agg(
        F.count("*").alias("count"), F.sum("unscorable").alias("unscorable")
    ).toPandas()
    return found


def unreadable(job: Job, days: Sequence[date]) -> dict[date, int]:
    """Files of these days that are no images, by day."""
    if not tables.exists(job.spark, job.table(REJECTS)):
        return {}
    rejects = tables.read(job.spark, job.table(REJECTS), schemas.REJECTS)
    own = rejects.where(
        F.col(names.CAPTURE_DATE).isin([*days])
        & (F.col(names.KIND) == names.KIND_IMAGE)
        & F.col(names.REASON).isin([*names.IMAGE_REASONS])
        & (F.col(names.STAGE) == "ingest")
    )
    counted = own.groupBy(names.CAPTURE_DATE).agg(F.countDistinct(names.SOURCE_URI)).collect()
    return {row[0]: row[1] for row in counted}


def lags(job: Job, days: Sequence[date]) -> dict[date, float]:
    """Median hours until a verdict, by the day of the verdict."""
    if not tables.exists(job.spark, job.table(VERDICTS)):
        return {}
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    day = F.to_date(names.VERIFIED_AT)
    both = verdicts.where(day.isin([*days])).join(
        images.select(names.IMAGE_ID, names.CAPTURED_AT), names.IMAGE_ID
    )
    seconds = F.col(names.VERIFIED_AT).cast("double") - F.col(names.CAPTURED_AT).cast("double")
    found = both.groupBy(day.alias("day")).agg(F.percentile_approx(seconds / 3600, 0.5))
    return {row[0]: row[1] for row in found.collect()}


def kinds(job: Job, days: Sequence[date], day: str) -> list[tuple[str, str | None, int]]:
    """Kinds of defects of verdicts, with one line and how many; ``day`` is whose date counts."""
    if not tables.exists(job.spark, job.table(VERDICTS)):
        return []
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    slim = images.select(names.IMAGE_ID, names.LINE, names.CAPTURE_DATE)
    both = verdicts.where(F.col(names.DEFECTS).isNotNull()).join(slim, names.IMAGE_ID)
    own = both.where(F.to_date(day).isin([*days]))
    kind = F.explode(F.split(names.DEFECTS, _KINDS)).alias("kind")
    counted = own.select(kind, names.LINE).where("kind != ''").groupBy("kind")
    rows = counted.agg(F.min(names.LINE), F.count("*")).collect()
    return sorted(tuple(row) for row in rows)


def _known(job: Job, images: DataFrame, days: Sequence[date]) -> dict[str, tuple[str, ...]]:
    """Lines, parts and kinds of defects until the last of these days."""
    until = images.where(F.col(names.CAPTURE_DATE) <= F.lit(days[-1])) if days else images
    found = until.agg(*(F.sort_array(F.collect_set(each)) for each in policy.KNOWN)).first()
    told = {name: tuple(found[place] if found else ()) for place, name in enumerate(policy.KNOWN)}
    all_days = [row[0] for row in until.select(names.CAPTURE_DATE).distinct().collect()]
    defects = kinds(job, all_days, names.CAPTURE_DATE)
    return {**told, names.DEFECTS: tuple(kind for kind, _, _ in defects)}
