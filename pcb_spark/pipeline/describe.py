"""The describe job: ``images`` and ``verdicts`` become metrics of how good the data are."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import InputError, TrainingError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import GOLDENS, IMAGES, METRICS, VERDICTS
from pcb_spark.lake.run import Counts, close_books, few_shuffle_partitions
from pcb_spark.lake.scopes import FOLD
from pcb_spark.learning import examples
from pcb_spark.learning.examples import GROUP_COLUMN
from pcb_spark.learning.folds import plan_folds
from pcb_spark.monitor import golden_positions, near_duplicates, quality
from pcb_spark.pipeline import logs, references

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.folds import Fold
    from pcb_spark.pipeline.job import Job

    Row = tuple[str, str | None, str, float | None, int]

log = logging.getLogger(__name__)

#: These metrics are of data, not of a model.
NO_MODEL = ""


def run_describe(job: Job) -> Counts:
    """Measure every image once and write what is worth knowing as rows of ``metrics``."""
    began = time.monotonic()
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    with few_shuffle_partitions(job.spark), logs.progress(job.spark, "describe"):
        found = quality.facts(
            images, verdicts, max_pixels=job.config.ingest.max_pixels,
            bit_depth=job.config.ingest.bit_depth,
        )  # fmt: skip
        found = examples.with_group_date(found, GROUP_COLUMN[job.config.folds.group])
        found = found.persist(StorageLevel.MEMORY_AND_DISK)
        total = found.count()
        if total == 0:
            raise InputError("the images table is empty", hint="look at the rejects of ingest")
        rows = [*_counted(found), *_schema_drift(job), *_duplicates(job, found)]
        rows += _golden_positions(job, images)
        found.unpersist()
    full = [(job.run_id, NO_MODEL, *row[:4], None, None, row[4], job.started_at) for row in rows]
    tables.append_rows(job.spark, full, job.table(METRICS), schemas.METRICS)
    counts = Counts(rows_in=images.count(), rows_out=total, rows_rejected=0)
    close_books(job, "describe", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def _counted(found: DataFrame) -> list[Row]:
    answers = quality.counts(found), quality.outliers(found), quality.drift(found)
    order = (schemas.SCOPE_KIND, schemas.SCOPE_VALUE)
    return [tuple(row) for answer in answers for row in answer.orderBy(*order).collect()]


def _schema_drift(job: Job) -> list[Row]:
    """Compare the columns of the files with those that the table should have."""
    stored = job.spark.read.option("mergeSchema", "true").parquet(job.table(IMAGES)).schema
    found = quality.schema_drift(stored, schemas.IMAGES)
    return [(*scope, metric, 1.0, 1) for scope, metric in found]


def _duplicates(job: Job, found: DataFrame) -> list[Row]:
    """Images of each fold's test period that its training has seen, or nearly."""
    kinds = {
        "equal_in_training": near_duplicates.equal(found, examples.GROUP_DATE),
        "near_in_training": near_duplicates.near(found, examples.GROUP_DATE, quality.HASH),
    }
    folds = _folds(job, found)
    return [
        (FOLD, str(index), metric, float(like), test)
        for metric, pairs in kinds.items()
        for index, like, test in near_duplicates.across_border(
            pairs, found, folds, examples.GROUP_DATE
        )
    ]


def _golden_positions(job: Job, images: DataFrame) -> list[Row]:
    """Positions with and without golden image; nothing where none was ever made."""
    if not tables.exists(job.spark, job.table(GOLDENS)):
        return []
    found = golden_positions.counts(images, references.goldens(job), job.config.golden)
    return [tuple(row) for row in found.collect()]


def _folds(job: Job, found: DataFrame) -> tuple[Fold, ...]:
    """Plan folds over all images; none where the days are too few for them."""
    wanted = job.config.folds
    days = [row[0] for row in found.select(F.col(examples.GROUP_DATE)).distinct().collect()]
    try:
        return plan_folds(
            days,
            n_folds=wanted.n,
            first_fraction=wanted.first_fraction,
            gap_days=wanted.gap_days,
        )
    except TrainingError as error:
        log.warning("no near-duplicates between training and test: %s", error.what)
        return ()
