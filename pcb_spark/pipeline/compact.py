"""The compact job: tables that grew by many small files get few large ones with the same rows."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcb_spark.lake import catalogue, compaction, tables
from pcb_spark.lake.catalogue import IMAGES
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.lake.run import Counts, close_books, writing
from pcb_spark.pipeline import logs

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)


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
        store = ImageStore(job.spark, job.config.paths.out, job.lease)
        store.recover()
        done = [_compact_images(job, store)] if _is_there(job, IMAGES) else []
        flat = catalogue.flat()
        done += [_compact_flat(job, name, flat[name]) for name in flat if _is_there(job, name)]
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


def _compact_flat(job: Job, name: str, schema: StructType) -> Compacted:
    uri = job.table(name)
    before = compaction.files_of(tables.read(job.spark, uri, schema))
    left_alone = 0
    for found in before:
        count = compaction.wanted(found, job.config.compact.target_mb)
        if found.files <= count:
            left_alone += found.files
            continue
        with writing(job):
            rows = tables.read(job.spark, uri, schema)
            tables.rewrite(rows, uri, schema, files=count, lease=job.lease)
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
