"""What training leaves in the registry: the bundle, and all that it came of."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.lake import compaction, filesystem, schemas, tables
from pcb_spark.lake.catalogue import BUNDLE, IMAGES, OUT_OF_FOLD, REPORT, REPORTS, VERDICTS
from pcb_spark.pipeline import registry
from pcb_spark.pipeline.artifacts import copy_bundle

if TYPE_CHECKING:
    import pandas as pd

    from pcb_spark.core.bundle import Manifest
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.registry import Version

log = logging.getLogger(__name__)

#: Scores of each image by classifiers that saw only earlier days, with the verdicts: what promotion
#: compares, and what the promise of a version rests on, also once its days are pruned.
OUT_OF_FOLD_FILE: Final = "out_of_fold.parquet"
_EVIDENCE: Final = (
    names.IMAGE_ID, names.LINE, names.PART_NUMBER, names.CAPTURED_AT, names.VERDICT, names.DEFECTS,
    names.FOLD, names.PROBABILITY, names.GATED, names.WEIGHT,
)  # fmt: skip


def run_register(job: Job) -> Version | None:
    """Register the bundle of this output, unless the configuration wants no registry.

    Where tables lie on a store and no server is named, training is not stopped for that.
    """
    wanted, out = job.config.registry, job.config.paths.out
    if not wanted.enabled:
        return None
    if not (wanted.uri or registry.disk(out)):
        job.notes.append("not registered: registry.uri is not set, and tables are on a store")
        return None
    return register(job)


def register(job: Job) -> Version:
    """Register the bundle of this output; the answer is its version, also if it was there."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy_bundle(job, folder / BUNDLE)
        manifest = bundle.read(folder / BUNDLE, where=job.table(BUNDLE)).manifest
        _copy_beside(job, folder, manifest)
        made = registry.open_registry(job.config).register(
            registry.Entry(
                folder=folder,
                model_version=manifest.model_version,
                run_id=manifest.lineage["run_id"],
                params=dict(_flat(manifest.lineage.get("config", {}))),
                metrics={
                    name.replace("=", " "): value
                    for name, value in manifest.metrics.items()
                    if value is not None
                },
                tags=_tags(job, manifest),
            )
        )
    job.notes.append(f"registered as version {made.number} of {job.config.registry.model}")
    return made


def keep_report(job: Job, version: Version) -> None:
    """Keep this run's report with a version, in the place of the one that it has."""
    opened = registry.open_registry(job.config)
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / REPORT
        found.write_bytes(
            filesystem.read_whole(job.spark, job.table(f"{REPORTS}/{job.run_id}.html"))
        )
        opened.keep(version, found)


def _copy_beside(job: Job, folder: Path, manifest: Manifest) -> None:
    """Configuration, report and out-of-fold scores of the run that trained, if they are there."""
    run = manifest.lineage["run_id"]
    text = json.dumps(manifest.lineage.get("config", {}), indent=2, sort_keys=True)
    (folder / "configuration.json").write_text(text + "\n", encoding="utf-8")
    report = job.table(f"{REPORTS}/{run}.html")
    if tables.exists(job.spark, report):
        (folder / REPORT).write_bytes(filesystem.read_whole(job.spark, report))
    if tables.exists(job.spark, job.table(OUT_OF_FOLD)):
        found = tables.read(job.spark, job.table(OUT_OF_FOLD), schemas.OUT_OF_FOLD)
        own = found.where(F.col(names.RUN_ID) == run).select(*_EVIDENCE)
        scores: pd.DataFrame = own.toPandas()
        # Spark reads no nanoseconds.
        scores.to_parquet(folder / OUT_OF_FOLD_FILE, index=False, coerce_timestamps="us")


def _tags(job: Job, manifest: Manifest) -> Mapping[str, str]:
    """The window that the model was trained on, and what its images and verdicts add up to."""
    window = manifest.training_window
    tags = {f"window_{name}": str(window[name]) for name in window}
    if not all(tables.exists(job.spark, job.table(name)) for name in (IMAGES, VERDICTS)):
        return tags
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    days = F.col(names.CAPTURE_DATE).between(window["from"], window["until"])
    known = verdicts.where(F.col(names.VERDICT).isNotNull())
    rows = images.where(days).select(
        names.IMAGE_ID, names.CONTENT_SHA256, names.REFERENCE_SHA256
    ).join(known.select(names.IMAGE_ID, names.VERDICT), names.IMAGE_ID)  # fmt: skip
    found = compaction.checksum(rows)
    return tags | {"window_rows": str(found.rows), "window_checksum": str(found.total)}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys of the configuration in dotted form."""
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
