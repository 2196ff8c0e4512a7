"""The golden job: verified-good images become golden images, ``goldens``."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.golden import making
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import BUNDLE, GOLDENS, IMAGES, VERDICTS
from pcb_spark.lake.run import Counts, close_books, few_shuffle_partitions
from pcb_spark.pipeline import logs, references
from pcb_spark.pipeline.artifacts import read_bundle

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.core.pairs import Reading
    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)


def run_golden(job: Job) -> Counts:
    """Add to ``goldens`` what images verified since make of it."""
    began = time.monotonic()
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    maker = _maker(job)
    with contextlib.ExitStack() as caches:
        caches.enter_context(few_shuffle_partitions(job.spark))
        caches.enter_context(logs.progress(job.spark, "golden"))
        planned = making.plan(images, verdicts, references.goldens(job), maker)
        planned = tables.computed(planned, caches)
        new = making.news(planned)
        made = making.make(planned, images, maker).withColumns(
            {names.RUN_ID: F.lit(job.run_id), names.MADE_AT: F.lit(job.started_at)}
        )
        uri = job.table(GOLDENS)
        tables.append(made, uri, schemas.GOLDENS, files=session.task_slots(job.spark))
    own = references.goldens(job).where(F.col(names.RUN_ID) == job.run_id)
    taken, golden = _counts(own)
    log.info("golden: %d golden images made, of %d more verified-good images", golden, taken)
    job.notes.append(f"golden  {golden} golden images made anew")
    counts = Counts(rows_in=new, rows_out=taken, rows_rejected=new - taken)
    close_books(job, "golden", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def run_golden_if_wanted(job: Job) -> None:
    """Make golden images where ``features.reference`` asks for them, or leaves it to the images."""
    if references.may_be_own(job):
        run_golden(job)


def run_golden_if_served(job: Job) -> None:
    """Make golden images where the bundle compares images with them."""
    if tables.exists(job.spark, job.table(BUNDLE)):
        run_golden_if_compared(job, read_bundle(job).manifest.reading)


def run_golden_if_compared(job: Job, reading: Reading) -> None:
    """Make golden images where a model compares with them, and there are verdicts."""
    if reading.is_own and tables.exists(job.spark, job.table(VERDICTS)):
        run_golden(job)


def _maker(job: Job) -> making.Maker:
    ingest = job.config.ingest
    return making.Maker(
        rule=job.config.golden,
        timezone=ingest.timezone,
        max_pixels=ingest.max_pixels,
        bit_depth=ingest.bit_depth,
        partitions=2 * session.task_slots(job.spark),
    )


def _counts(own: DataFrame) -> tuple[int, int]:
    """How many images these rows tell of for the first time, and how many are golden images."""
    found = own.agg(F.sum(F.size(names.TAKEN)), F.count(names.REFERENCE)).first() or (0, 0)
    return found[0] or 0, found[1] or 0
