"""The featurize job: ``images`` become ``features``, through SynapseML's ONNXModel."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES, IMAGES
from pcb_spark.lake.run import Counts, close_books, count_rows, write_rejects
from pcb_spark.network import features
from pcb_spark.pipeline import logs
from pcb_spark.pipeline.artifacts import write_feature_set
from pcb_spark.pipeline.job import Job, load_backbone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.network.graphs import FeatureSpec

log = logging.getLogger(__name__)


def run_featurize(job: Job) -> Counts:
    """``images`` to ``features``, through SynapseML's ONNXModel."""
    began = time.monotonic()
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    total, with_reference = _reference_counts(images)
    spec = features.choose_spec(
        job.config.features, total=total, with_reference=with_reference,
        bit_depth=job.config.ingest.bit_depth,
    )  # fmt: skip
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


def _reference_counts(images: DataFrame) -> tuple[int, int]:
    total, with_reference = images.agg(F.count("*"), F.count(names.REFERENCE_SHA256)).first() or (
        0,
        0,
    )
    if total == 0:
        what = "the images table is empty"
        raise InputError(what, hint="look at the rejects of the ingest job")
    return total, with_reference
