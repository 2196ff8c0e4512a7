"""The ingest job: a camera drop becomes ``images``, ``verdicts`` and ``rejects``."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark import ingest, logs, tables, verdicts
from pcb_spark import schemas as s
from pcb_spark.errors import InputError
from pcb_spark.pipeline.job import (
    IMAGES,
    REJECTS,
    VERDICTS,
    Counts,
    Job,
    close_books,
    count_rows,
    required,
    write_rejects,
)
from pcb_spark.references import read_windows

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

log = logging.getLogger(__name__)

_PICTURES = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)$"


def run_ingest(job: Job) -> Counts:
    """Camera drop to ``images``, ``verdicts`` and ``rejects``."""
    began = time.monotonic()
    drop = required(job.config.paths.drop, "paths.drop")
    with logs.progress(job.spark, "ingest"), contextlib.ExitStack() as caches:
        with tables.spark_failures(
            f"the drop {drop} can't be read", hint="check paths.drop, and the rights on its files"
        ):
            root = tables.qualified(job.spark, drop)
            inspected, references, manifest = _open(job, root, caches)
            rows_in = {s.KIND_IMAGE: inspected.count(), s.KIND_VERDICT: manifest.count()}
        _refuse_nothing(rows_in[s.KIND_IMAGE], root)
        windows_uri = tables.locate(root, job.config.ingest.reference_windows)
        found = ingest.ingest(
            inspected, references, manifest, _windows(job, windows_uri),
            root=root, windows_uri=windows_uri,
            size_tolerance=job.config.ingest.reference_size_tolerance,
        )  # fmt: skip
        with tables.spark_failures(
            f"the tables in {job.config.paths.out} can't be written",
            hint="check the rights on paths.out, and the space that is left",
        ):
            counts = _write(job, found, rows_in)
    close_books(job, "ingest", counts, root, began)
    return counts[s.KIND_IMAGE]


def _refuse_nothing(images: int, root: str) -> None:
    if images == 0:
        raise InputError(
            f"no images in {root}",
            expected="JPEG, PNG, TIFF, BMP or WebP files",
            hint="correct paths.drop, or ingest.images",
        )


def _open(
    job: Job, root: str, caches: contextlib.ExitStack
) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Images, references and verdict file of a drop; each is read once and kept on disk."""
    return (
        _component_files(job, root, caches),
        _references(job, root, caches),
        _cached(_manifest(job, root), caches),
    )


def _write(job: Job, found: ingest.Ingested, rows_in: Mapping[str, int]) -> dict[str, Counts]:
    """Write the rejects first, so that they are there to look at where nothing else is."""
    rejects = write_rejects(job, found.rejects, "ingest")
    if rejects.get(s.KIND_IMAGE) == rows_in[s.KIND_IMAGE]:
        raise InputError(
            f"none of the {rows_in[s.KIND_IMAGE]} images of the drop can be used",
            hint=f"{job.table(REJECTS)} has the reason for each",
        )
    tables.replace_images(found.images, job.table(IMAGES))
    tables.replace(found.verdicts, job.table(VERDICTS), s.VERDICTS)
    rows_out = {
        s.KIND_IMAGE: count_rows(job, IMAGES, s.IMAGES),
        s.KIND_VERDICT: count_rows(job, VERDICTS, s.VERDICTS),
    }
    return {
        kind: Counts(rows_in=came, rows_out=rows_out[kind], rows_rejected=rejects.get(kind, 0))
        for kind, came in rows_in.items()
    }


def _cached(df: DataFrame, caches: contextlib.ExitStack) -> DataFrame:
    """Keep ``df`` on disk until ``caches`` closes."""
    kept = df.persist(StorageLevel.DISK_ONLY)
    caches.callback(kept.unpersist)
    return kept


def _component_files(job: Job, root: str, caches: contextlib.ExitStack) -> DataFrame:
    folder = tables.locate(root, job.config.ingest.images)
    if tables.exists(job.spark, folder):
        return _inspect(job, root, folder, F.lit(True), caches)
    references = tables.locate(root, job.config.ingest.references)
    path = F.col("path")
    wanted = path.rlike(_PICTURES) & ~path.startswith(references + "/")
    return _inspect(job, root, root, wanted, caches)


def _references(job: Job, root: str, caches: contextlib.ExitStack) -> DataFrame:
    folder = tables.locate(root, job.config.ingest.references)
    if tables.exists(job.spark, folder):
        return _inspect(job, root, folder, F.lit(True), caches)
    nothing = job.spark.createDataFrame([], "path string, length long, content binary")
    return ingest.inspect_files(nothing, root=root, max_pixels=job.config.ingest.max_pixels)


def _inspect(
    job: Job, root: str, folder: str, wanted: Column, caches: contextlib.ExitStack
) -> DataFrame:
    """Open the wanted files below ``folder``, once."""
    reader = job.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    scan = reader.load(folder)
    opened = ingest.inspect_files(
        scan.where(wanted), root=root, max_pixels=job.config.ingest.max_pixels
    )
    inspected = _cached(opened, caches)
    listed = _listed(job, scan).where(wanted)
    if listed.count() == inspected.count():
        return inspected
    return ingest.with_empty_files(inspected, listed, root=root)


def _listed(job: Job, scan: DataFrame) -> DataFrame:
    """Every file that Spark found, those too that it won't scan; in one call to the JVM."""
    found = job.spark._jvm.scala.Predef.genericWrapArray(  # type: ignore[union-attr]
        scan._jdf.inputFiles()
    )
    uris = found.mkString("\n")
    paths = [(unquote(uri).replace(":///", ":/", 1),) for uri in uris.split("\n") if uri]
    return job.spark.createDataFrame(paths, "path string")


def _windows(job: Job, uri: str) -> DataFrame | None:
    """Which references are good when; None where the drop doesn't say."""
    if not tables.exists(job.spark, uri):
        return None
    return read_windows(job.spark.read.csv(uri, header=True, multiLine=True, escape='"'), uri)


def _manifest(job: Job, root: str) -> DataFrame:
    uri = tables.locate(root, job.config.ingest.verdicts)
    if not tables.exists(job.spark, uri):
        log.warning("no verdict file %s: every image waits for its verdict", uri)
        empty = job.spark.createDataFrame([], "image string")
        return verdicts.read_manifest(empty, uri)
    return verdicts.read_csv(job.spark, uri)
