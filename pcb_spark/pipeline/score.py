"""The score job: ``images`` and a bundle become ``scores``."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import onnx
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FEATURES, IMAGES, REVIEWS, SCORES
from pcb_spark.lake.run import Counts, close_books
from pcb_spark.learning import gate
from pcb_spark.learning.noticed import sentences
from pcb_spark.network import classifiers, graphs, scoring
from pcb_spark.pipeline import clearing, logs, references
from pcb_spark.pipeline.artifacts import read_bundle, read_reviews, read_verdicts
from pcb_spark.pipeline.job import Job, refuse_untrained
from pcb_spark.pipeline.notice import look

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.core.policy import SegmentThresholds

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
        decided = decide(job, probabilities(job, images, model, total), model)
        tables.replace_dates(decided, job.table(SCORES), schemas.SCORES, lease=job.lease)
    written = tables.read(job.spark, job.table(SCORES), schemas.SCORES)
    own = written.where(F.col(names.RUN_ID) == job.run_id)
    out = own.count()
    ask(job, own)
    job.notes.extend(sentences(look(job, manifest)))
    counts = Counts(rows_in=total, rows_out=out, rows_rejected=0)
    close_books(job, "score", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def decide(
    job: Job,
    scored: DataFrame,
    model: bundle.Bundle,
    by_date: Mapping[date, SegmentThresholds] | None = None,
) -> DataFrame:
    """Rows of ``scores``; what an earlier gate asked for is asked for again.

    Parameters
    ----------
    scored : answer of ``probabilities``.
    by_date : see ``scoring.decide``.
    """
    stopped = clearing.stopped(job)
    decided = scoring.decide(scored, model.manifest, job.config.shares, stopped, by_date)
    reviews = read_reviews(job)
    if reviews is not None:
        decided = gate.asked_before(decided, reviews)
    return decided.withColumns(
        {names.RUN_ID: F.lit(job.run_id), names.SCORED_AT: F.lit(job.started_at)}
    )


def ask(job: Job, scores: DataFrame) -> None:
    """Keep whom the gate asked for, of images without a verdict; see ``gate``."""
    verdicts = read_verdicts(job)
    with contextlib.ExitStack() as caches:
        now = tables.computed(gate.open_reviews(scores, verdicts, job.config.shares), caches)
        before = read_reviews(job)
        if before is not None:
            now = tables.computed(gate.first_gates(before, now), caches)
        if now.isEmpty():
            return
        tables.replace_dates(now, job.table(REVIEWS), schemas.REVIEWS, lease=job.lease)


def _in_range(job: Job, images: DataFrame) -> DataFrame:
    wanted = job.config.scoring
    if wanted.since is not None:
        images = images.where(F.col(names.CAPTURE_DATE) >= F.lit(wanted.since))
    if wanted.until is not None:
        images = images.where(F.col(names.CAPTURE_DATE) <= F.lit(wanted.until))
    return images


def probabilities(job: Job, images: DataFrame, model: bundle.Bundle, total: int) -> DataFrame:
    """Score ``total`` images, as ``scoring.score``.

    The classifier alone does it where this very graph has seen these pictures, else the fused
    graph.
    """
    if not (job.config.scoring.reuse_features and tables.exists(job.spark, job.table(FEATURES))):
        return score_pixels(job, images, model, total)
    made = tables.read(job.spark, job.table(FEATURES), schemas.FEATURES_TABLE)
    fitting = made.where(F.col(names.FEATURE_SET) == model.manifest.feature_set)
    ready = references.current(job, fitting, images, model.manifest.reading)
    described = images.select(*schemas.TRACEABILITY, names.CAPTURE_DATE)
    golden = F.lit(model.manifest.difference)
    compared = F.when(golden, F.col(names.REFERENCE_SHA256)).alias(names.REFERENCE_SHA256)
    known = ready.select(names.IMAGE_ID, names.FEATURES, compared).join(described, names.IMAGE_ID)
    unknown = images.join(ready.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    from_features = scoring.score_features(
        known, _classifier_graph(model), engine=job.config.inference.engine
    )
    missing = unknown.count()
    if not missing:
        return from_features
    return from_features.unionByName(score_pixels(job, unknown, model, missing))


def score_pixels(job: Job, images: DataFrame, model: bundle.Bundle, count: int) -> DataFrame:
    """Run the fused graph over ``count`` images; see ``scoring.score``."""
    reading = model.manifest.reading
    images = references.seen(job, images, reading)
    plan = replace(job.plan(count), reading=reading)
    fused = onnx.load_from_string(model.parts[bundle.GRAPH])
    graph = graphs.with_threads(fused, plan.threads).SerializeToString()
    return scoring.score(images, graph, plan)


def _classifier_graph(model: bundle.Bundle) -> bytes:
    trees, line, image = classifiers.of_bundle(model)
    width = model.manifest.feature_count
    graph = graphs.with_threads(graphs.classifier_graph(trees, width, line, image), 1)
    serialized: bytes = graph.SerializeToString()
    return serialized
