"""What shifts at the review page did with known defects, each shift looked at by one night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.lake import schemas, scopes, tables
from pcb_spark.lake.catalogue import MONITOR
from pcb_spark.review import database, vigilance

if TYPE_CHECKING:
    from pcb_spark.pipeline.job import Job
    from pcb_spark.review.vigilance import Vigilance


def unseen(job: Job) -> list[Vigilance]:
    """The shifts that are over and that no night has looked at; none without a verdict store.

    Raises
    ------
    StoreUnreachable : the store doesn't answer.
    """
    url = job.config.ingest.verdict_store
    if not url:
        return []
    engine = database.connect(url)
    try:
        with database.reaching(engine):
            found = vigilance.by_shift(engine, job.config.ingest.timezone, job.started_at)
    finally:
        engine.dispose()
    seen = _seen(job)
    return [each for each in found if each.shift not in seen]


def _seen(job: Job) -> set[str]:
    if not tables.exists(job.spark, job.table(MONITOR)):
        return set()
    rows = tables.read(job.spark, job.table(MONITOR), schemas.MONITOR)
    own = rows.where(F.col(schemas.SCOPE_KIND) == scopes.SHIFT)
    return {row[0] for row in own.select(schemas.SCOPE_VALUE).distinct().collect()}
