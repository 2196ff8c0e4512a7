"""The ingest job: a camera drop becomes ``images``, ``verdicts`` and ``rejects``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark import ingest, logs, tables
from pcb_spark import schemas as s
from pcb_spark.errors import InputError
from pcb_spark.pipeline.job import (
    IMAGES,
    VERDICTS,
    Counts,
    Job,
    close_books,
    count_rows,
    required,
    write_rejects,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)

_PICTURES = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)$"


def run_ingest(job: Job) -> Counts:
    """Camera drop to ``images``, ``verdicts`` and ``rejects``."""
    began = time.monotonic()
    root = tables.qualified(job.spark, required(job.config.paths.drop, "paths.drop"))
    what, hint = f"the drop {root} can't be read", "check the path and its rights"
    with tables.spark_failures(what, hint=hint), logs.progress(job.spark, "ingest"):
        files = _component_files(job, root)
        inspected = ingest.inspect_files(
            files, root=root, max_pixels=job.config.ingest.max_pixels
        ).persist(StorageLevel.DISK_ONLY)
        total = inspected.count()
        if total == 0:
            nothing = f"no images in {root}"
            raise InputError(nothing, expected="JPEG, PNG, TIFF, BMP or WebP files", hint=hint)
        references = _references(job, root).persist(StorageLevel.DISK_ONLY)
        manifest = _manifest(job, root).persist()
        found = ingest.ingest(inspected, references, manifest, root=root)
        tables.replace_images(found.images, job.table(IMAGES))
        tables.replace(found.verdicts, job.table(VERDICTS), s.VERDICTS)
        rejects = write_rejects(job, found.rejects, "ingest")
        verdict_rows = manifest.count()
        for cached in (inspected, references, manifest):
            cached.unpersist()
    images = Counts(
        rows_in=total,
        rows_out=count_rows(job, IMAGES, s.IMAGES),
        rows_rejected=rejects.get(s.KIND_IMAGE, 0),
    )
    verdicts = Counts(
        rows_in=verdict_rows,
        rows_out=count_rows(job, VERDICTS, s.VERDICTS),
        rows_rejected=rejects.get(s.KIND_VERDICT, 0),
    )
    close_books(job, "ingest", {s.KIND_IMAGE: images, s.KIND_VERDICT: verdicts}, root, began)
    return images


def _component_files(job: Job, root: str) -> DataFrame:
    folder = tables.locate(root, job.config.ingest.images)
    if tables.exists(job.spark, folder):
        return _files(job, folder)
    references = tables.locate(root, job.config.ingest.references)
    return _files(job, root).where(
        F.col("path").rlike(_PICTURES) & ~F.col("path").startswith(references + "/")
    )


def _references(job: Job, root: str) -> DataFrame:
    folder = tables.locate(root, job.config.ingest.references)
    files = _files(job, folder) if tables.exists(job.spark, folder) else _no_files(job)
    return ingest.inspect_files(files, root=root, max_pixels=job.config.ingest.max_pixels)


def _files(job: Job, folder: str) -> DataFrame:
    reader = job.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.load(folder)


def _no_files(job: Job) -> DataFrame:
    return job.spark.createDataFrame([], "path string, length long, content binary")


def _manifest(job: Job, root: str) -> DataFrame:
    uri = tables.locate(root, job.config.ingest.verdicts)
    if not tables.exists(job.spark, uri):
        log.warning("no verdict file %s: every image waits for its verdict", uri)
        empty = job.spark.createDataFrame([], "image string")
        return ingest.read_manifest(empty, uri)
    return ingest.read_manifest(job.spark.read.csv(uri, header=True, multiLine=True), uri)
