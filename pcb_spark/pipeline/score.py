"""The score job: ``images`` and a bundle become ``scores``."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES, IMAGES, SCORES
from pcb_spark.lake.run import Counts, close_books
from pcb_spark.network import features, graphs, scoring, trees
from pcb_spark.pipeline import logs
from pcb_spark.pipeline.artifacts import read_bundle
from pcb_spark.pipeline.job import Job, refuse_untrained

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)


def run_score(job: Job) -> Counts:
    """``images`` and the bundle to ``scores``: one row an image, unscorable ones too."""
    began = time.monotonic()
    images = _in_range(job, tables.read(job.spark, job.table(IMAGES), schemas.IMAGES))
    model = read_bundle(job)
    manifest = model.manifest
    refuse_untrained(job.config, "the model bundle", trained=manifest.trained_backbone)
    total = images.count()
    with logs.progress(job.spark, "score"):
        scored = _score(job, images, model, total)
        decided = scoring.decide(
            scored,
            manifest,
            audit_share=job.config.scoring.audit_share,
            seed=job.config.seed,
        ).withColumns({names.RUN_ID: F.lit(job.run_id), names.SCORED_AT: F.lit(job.started_at)})
        tables.replace_dates(decided, job.table(SCORES), schemas.SCORES, lease=job.lease)
    written = tables.read(job.spark, job.table(SCORES), schemas.SCORES)
    out = written.where(F.col(names.RUN_ID) == job.run_id).count()
    counts = Counts(rows_in=total, rows_out=out, rows_rejected=0)
    close_books(job, "score", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def _in_range(job: Job, images: DataFrame) -> DataFrame:
    wanted = job.config.scoring
    if wanted.since is not None:
        images = images.where(F.col(names.CAPTURE_DATE) >= F.lit(wanted.since))
    if wanted.until is not None:
        images = images.where(F.col(names.CAPTURE_DATE) <= F.lit(wanted.until))
    return images


def _score(job: Job, images: DataFrame, model: bundle.Bundle, total: int) -> DataFrame:
    """Trees alone where this very graph has seen these very pictures, else the fused graph."""
    if not (job.config.scoring.reuse_features and tables.exists(job.spark, job.table(FEATURES))):
        return _score_pixels(job, images, model, total)
    made = tables.read(job.spark, job.table(FEATURES), schemas.FEATURES_TABLE)
    fitting = made.where(F.col(names.FEATURE_SET) == model.manifest.feature_set)
    ready = features.current(fitting, images, difference=model.manifest.difference)
    described = images.select(*schemas.TRACEABILITY, names.CAPTURE_DATE)
    known = ready.select(names.IMAGE_ID, names.FEATURES).join(described, names.IMAGE_ID)
    unknown = images.join(ready.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    from_features = scoring.score_features(known, _trees_graph(model))
    missing = unknown.count()
    if not missing:
        return from_features
    return from_features.unionByName(_score_pixels(job, unknown, model, missing))


def _score_pixels(job: Job, images: DataFrame, model: bundle.Bundle, count: int) -> DataFrame:
    plan = job.plan(count)
    fused = onnx.load_from_string(model.parts[bundle.GRAPH])
    about = model.manifest
    plan = replace(
        plan,
        max_offset=about.max_offset,
        alignment=about.alignment,
        bit_depth=about.bit_depth,
    )
    graph = graphs.with_threads(fused, plan.threads).SerializeToString()
    return scoring.score(images, graph, plan, difference=model.manifest.difference)


def _trees_graph(model: bundle.Bundle) -> bytes:
    width = model.manifest.feature_count
    converted = trees.convert(model.parts[bundle.CLASSIFIER].decode(), width)
    graph = graphs.with_threads(graphs.trees_graph(converted, width), 1)
    serialized: bytes = graph.SerializeToString()
    return serialized
