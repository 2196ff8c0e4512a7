"""The featurize job: ``images`` become ``features``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES, IMAGES
from pcb_spark.lake.run import Counts, close_books, count_rows, write_rejects
from pcb_spark.network import features
from pcb_spark.pipeline import logs, references
from pcb_spark.pipeline.artifacts import write_feature_set
from pcb_spark.pipeline.job import Job, load_backbone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.network.graphs import FeatureSpec

log = logging.getLogger(__name__)


def run_featurize(job: Job) -> Counts:
    """``images`` to ``features``, through the engine that is configured."""
    began = time.monotonic()
    table = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    total, spec = table.count(), references.choose_spec(job, table)
    with references.attached(job, table, spec.reading) as images:
        return _run(job, images, total, spec, began)


def _run(job: Job, images: DataFrame, total: int, spec: FeatureSpec, began: float) -> Counts:
    sample = calibration(job, images, spec)
    feature_set = features.build(load_backbone(job.config), spec, calibration=sample)
    log.info(
        "featurize %d images: %s, %s, %s, %d numbers each, backbone %s in %s",
        total,
        "+".join(spec.levels),
        "+".join(spec.pooling),
        references.described(spec.reading),
        spec.width,
        feature_set.backbone_source,
        feature_set.precision,
    )
    with logs.progress(job.spark, "featurize"):
        made = features.featurize(images, feature_set, job.plan(total))
        made = made.persist(StorageLevel.DISK_ONLY)
        usable = F.col(names.REASON).isNull()
        tables.replace(
            made.where(usable), job.table(FEATURES), schemas.FEATURES_TABLE,
            by_date=True, lease=job.lease,
        )  # fmt: skip
        rejected = made.where(~usable).withColumns(
            {
                names.KIND: F.lit(names.KIND_IMAGE),
                names.LENGTH: F.lit(None).cast("long"),
            }
        )
        rejects = write_rejects(job, rejected, "featurize")
        made.unpersist()
    write_feature_set(job, feature_set)
    counts = Counts(
        rows_in=total,
        rows_out=count_rows(job, FEATURES, schemas.FEATURES_TABLE),
        rows_rejected=rejects.get(names.KIND_IMAGE, 0),
    )
    close_books(job, "featurize", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def calibration(job: Job, images: DataFrame, spec: FeatureSpec) -> list[NDArray[np.uint8]]:
    """Decode what the backbone is quantised with; none with ``backbone.precision = "fp32"``.

    ``auto`` is int8 here, and train puts it to the test.
    """
    if job.config.backbone.precision == names.FP32:
        return []
    sample = features.calibration_sample(
        images,
        spec.reading,
        max_pixels=job.config.ingest.max_pixels,
        seed=job.config.seed,
    )
    if not sample:
        log.warning("no image of the calibration sample can be decoded: the backbone stays in fp32")
    return sample
