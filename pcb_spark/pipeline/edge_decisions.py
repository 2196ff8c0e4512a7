"""What edge machines have decided, as it comes back with their spool, for those who review it.

A decision counts for the image and the content that it names, once ingest has taken these in. Who
was asked by it is kept in ``reviews`` as a night's is, so that verdicts which came because of a
score don't pass for evidence.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F
from pyspark.sql import types as t
from pyspark.sql.window import Window

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import filesystem, schemas, tables
from pcb_spark.lake.catalogue import IMAGES, REVIEWS
from pcb_spark.learning import gate
from pcb_spark.pipeline.artifacts import read_reviews, read_verdicts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.pipeline.job import Job

#: What is read of a decision; the rest of it comes from the table of images.
_DECISION: Final = t.StructType([
    *(
        t.StructField(name, t.StringType())
        for name in (
            names.IMAGE_ID, names.CONTENT_SHA256, names.DECISION, names.REVIEW,
            names.MODEL_VERSION, names.SCORED_AT,
        )
    ),
    *(
        t.StructField(name, t.DoubleType())
        for name in (names.PROBABILITY, names.THRESHOLD, names.REVIEW_PROBABILITY)
    ),
])  # fmt: skip
_NEEDED: Final = (
    names.IMAGE_ID, names.CONTENT_SHA256, names.DECISION, names.THRESHOLD,
    names.REVIEW_PROBABILITY, names.MODEL_VERSION, names.SCORED_AT,
)  # fmt: skip


def take_in(job: Job, folder: str) -> DataFrame:
    """Read the decisions of images that are here, and keep whom they asked.

    Parameters
    ----------
    folder : ``decisions/`` of a spool or of the drop that it went to, on whatever store.

    Returns
    -------
    The last decision of each image, in the columns of ``scores`` that a decision has.

    Raises
    ------
    InputError : there is no such folder.
    """
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    here = images.select(*schemas.TRACEABILITY, names.CONTENT_SHA256, names.CAPTURE_DATE)
    told = _read(job, folder)
    found = told.join(here, [names.IMAGE_ID, names.CONTENT_SHA256])
    total, known = told.count(), found.count()
    if total > known:
        job.notes.append(f"{total - known} of {total} decisions are of images that aren't here yet")
    _ask(job, found)
    return found


def _read(job: Job, folder: str) -> DataFrame:
    if not filesystem.exists(job.spark, folder):
        hint = "name the folder decisions/ of a spool that was brought along, with --decisions"
        raise InputError(f"there is no folder {folder}", hint=hint)
    reader = job.spark.read.schema(_DECISION).option("recursiveFileLookup", "true")
    raw = reader.option("pathGlobFilter", "*.json").json(folder)
    at = F.to_timestamp(names.SCORED_AT)
    whole = raw.dropna(subset=[*_NEEDED]).withColumn(names.SCORED_AT, at)
    last = Window.partitionBy(names.IMAGE_ID).orderBy(F.desc(names.SCORED_AT))
    return whole.withColumn("place", F.row_number().over(last)).where("place = 1").drop("place")


def _ask(job: Job, found: DataFrame) -> None:
    """Keep whom the gate asked for, of images that had no verdict by then."""
    rows = found.withColumn(names.RUN_ID, F.lit(job.run_id))
    when = found.select(names.IMAGE_ID, names.SCORED_AT)
    before = (
        read_verdicts(job)
        .join(when, names.IMAGE_ID)
        .where(F.col(names.VERIFIED_AT) <= F.col(names.SCORED_AT))
    )
    with contextlib.ExitStack() as caches:
        now = gate.open_reviews(rows, before, job.config.shares)
        earlier = read_reviews(job)
        if earlier is not None:
            now = gate.first_gates(earlier, now)
        now = tables.computed(now, caches)
        if not now.isEmpty():
            tables.replace_dates(now, job.table(REVIEWS), schemas.REVIEWS, lease=job.lease)
