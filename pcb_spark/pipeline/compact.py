"""The compact job: tables that grew by many small files get few large ones with the same rows."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcb_spark.lake import compaction, schemas, tables
from pcb_spark.lake.catalogue import (
    FILES,
    IMAGES,
    METRICS,
    OUT_OF_FOLD,
    REJECTS,
    RUNS,
    SIDECARS,
    SUSPECTS,
    TRIALS,
    VERDICTS,
)
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.lake.run import Counts, close_books, writing
from pcb_spark.pipeline import logs

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)

#: Tables whose files lie in one folder. ``features`` and ``scores`` have one file a day anyway.
_FLAT: dict[str, StructType] = {
    VERDICTS: schemas.VERDICTS, REJECTS: schemas.REJECTS, FILES: schemas.FILES,
    SIDECARS: schemas.SIDECARS, OUT_OF_FOLD: schemas.OUT_OF_FOLD, SUSPECTS: schemas.SUSPECTS,
    TRIALS: schemas.TRIALS, METRICS: schemas.METRICS, RUNS: schemas.RUNS,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What became of a table: its rows and files, before and after, and the days left alone."""

    table: str
    rows_before: int
    rows_after: int
    files_before: int
    files_after: int
    left_alone: int


def run_compact(job: Job) -> list[Compacted]:
    """Rewrite what lies in more files than ``compact.target_mb`` asks for; the rest stays.

    Raises
    ------
    AccountingError : a table would not have had the same rows; it stays as it was.
    """
    began = time.monotonic()
    with logs.progress(job.spark, "compact"), writing(job):
        store = ImageStore(job.spark, job.config.paths.out)
        store.recover()
        done = [_compact_images(job, store)] if _is_there(job, IMAGES) else []
        done += [_compact_flat(job, name) for name in _FLAT if _is_there(job, name)]
    counts = {
        each.table: Counts(rows_in=each.rows_before, rows_out=each.rows_after, rows_rejected=0)
        for each in done
    }
    close_books(job, "compact", counts, job.config.paths.out, began)
    for each in done:
        log.info(
            "compact: %s had %d files, now %d; %d were left alone",
            each.table, each.files_before, each.files_after, each.left_alone,
        )  # fmt: skip
    return done


def _is_there(job: Job, name: str) -> bool:
    return tables.exists(job.spark, job.table(name))


def _compact_images(job: Job, store: ImageStore) -> Compacted:
    """Go day by day, so that the room that it needs beside the table is that of one day."""
    before = compaction.files_of(store.read())
    left_alone = 0
    for found in before:
        count = compaction.wanted(found, job.config.compact.target_mb)
        if found.day is None or found.files <= count:
            left_alone += found.files
            continue
        with writing(job):
            became = store.compact(found.day, count)
        log.info("compact: images of %s: %d files become %d", found.day, found.files, became)
    return _compacted(IMAGES, before, compaction.files_of(store.read()), left_alone)


def _compact_flat(job: Job, name: str) -> Compacted:
    uri, schema = job.table(name), _FLAT[name]
    before = compaction.files_of(tables.read(job.spark, uri, schema))
    left_alone = 0
    for found in before:
        count = compaction.wanted(found, job.config.compact.target_mb)
        if found.files <= count:
            left_alone += found.files
            continue
        with writing(job):
            tables.rewrite(tables.read(job.spark, uri, schema), uri, schema, files=count)
    after = compaction.files_of(tables.read(job.spark, uri, schema))
    return _compacted(name, before, after, left_alone)


def _compacted(
    name: str, before: list[compaction.Files], after: list[compaction.Files], left_alone: int
) -> Compacted:
    return Compacted(
        table=name,
        rows_before=sum(found.rows for found in before),
        rows_after=sum(found.rows for found in after),
        files_before=sum(found.files for found in before),
        files_after=sum(found.files for found in after),
        left_alone=left_alone,
    )
