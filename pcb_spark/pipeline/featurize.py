"""The featurize job: ``images`` become ``features``, through SynapseML's ONNXModel."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark import features, logs, precision, tables
from pcb_spark import schemas as s
from pcb_spark.errors import InputError
from pcb_spark.pipeline.job import (
    FEATURES,
    IMAGES,
    Counts,
    Job,
    close_books,
    count_rows,
    load_backbone,
    write_feature_set,
    write_rejects,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.graphs import FeatureSpec

log = logging.getLogger(__name__)


def run_featurize(job: Job) -> Counts:
    """``images`` to ``features``, through SynapseML's ONNXModel."""
    began = time.monotonic()
    images = tables.read(job.spark, job.table(IMAGES), s.IMAGES)
    total, with_reference = _reference_counts(images)
    spec = features.choose_spec(job.config.features, total=total, with_reference=with_reference)
    sample = calibration(job, images, spec)
    feature_set = features.build(load_backbone(job.config), spec, calibration=sample)
    log.info(
        "featurize %d images: %s, %s, %s, %d numbers each, backbone %s in %s",
        total,
        "+".join(spec.levels),
        "+".join(spec.pooling),
        "difference to the reference" if spec.difference else "no reference",
        spec.width,
        feature_set.backbone_source,
        feature_set.precision,
    )
    with logs.progress(job.spark, "featurize"):
        made = features.featurize(images, feature_set, job.plan(total))
        made = made.persist(StorageLevel.DISK_ONLY)
        usable = F.col(s.REASON).isNull()
        tables.replace(made.where(usable), job.table(FEATURES), s.FEATURES_TABLE, by_date=True)
        rejected = made.where(~usable).withColumns(
            {
                s.KIND: F.lit(s.KIND_IMAGE),
                s.LENGTH: F.lit(None).cast("long"),
            }
        )
        rejects = write_rejects(job, rejected, "featurize")
        made.unpersist()
    write_feature_set(job, feature_set)
    counts = Counts(
        rows_in=total,
        rows_out=count_rows(job, FEATURES, s.FEATURES_TABLE),
        rows_rejected=rejects.get(s.KIND_IMAGE, 0),
    )
    close_books(job, "featurize", {s.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def calibration(job: Job, images: DataFrame, spec: FeatureSpec) -> list[NDArray[np.uint8]]:
    """Decode what the backbone is quantised with; none with ``backbone.precision = "fp32"``.

    ``auto`` is int8 here, and train puts it to the test.
    """
    if job.config.backbone.precision == precision.FP32:
        return []
    sample = features.calibration_sample(
        images,
        difference=spec.difference,
        max_pixels=job.config.ingest.max_pixels,
        seed=job.config.seed,
    )
    if not sample:
        log.warning("no image of the calibration sample can be decoded: the backbone stays in fp32")
    return sample


def _reference_counts(images: DataFrame) -> tuple[int, int]:
    total, with_reference = images.agg(F.count("*"), F.count(s.REFERENCE_SHA256)).first() or (0, 0)
    if total == 0:
        what = "the images table is empty"
        raise InputError(what, hint="look at the rejects of the ingest job")
    return total, with_reference
