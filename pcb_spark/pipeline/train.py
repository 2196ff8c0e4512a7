"""The train job: ``features`` and ``verdicts`` become a judged classifier in a model bundle."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.core import bundle, names, policy
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import (
    FEATURES,
    IMAGES,
    OUT_OF_FOLD,
    SUSPECTS,
    VERDICTS,
)
from pcb_spark.lake.run import Counts, close_books, versions
from pcb_spark.lake.scopes import FOLD, FOLDS_MEAN, FORWARD, OVERALL
from pcb_spark.learning import (
    examples,
    first_flags,
    gate,
    lightgbm_on_spark,
    metrics,
    precision,
    suspects,
)
from pcb_spark.learning.examples import GROUP_COLUMN
from pcb_spark.learning.judge import Judgement, baseline_metrics, judge, kept, plan
from pcb_spark.learning.learning_curve import learning_curve
from pcb_spark.network import classifiers, graphs
from pcb_spark.pipeline import logs, references, training_days
from pcb_spark.pipeline.artifacts import read_feature_set, read_reviews, write_bundle
from pcb_spark.pipeline.int8 import compare_precision, featurize_again
from pcb_spark.pipeline.job import Job, refuse_untrained, write_metrics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.settings import TreeSettings
    from pcb_spark.learning.thresholds import Thresholds
    from pcb_spark.network.features import FeatureSet

log = logging.getLogger(__name__)

#: Scopes whose figures the manifest keeps.
_SUMMARY = (OVERALL.kind, FOLDS_MEAN.kind, FOLD, FORWARD)


def run_train(job: Job) -> Counts:
    """Judge forward in time, fit on everything, write bundle, out-of-fold scores and metrics."""
    began = time.monotonic()
    feature_set = read_feature_set(job)
    refuse_untrained(job.config, "the feature set", trained=feature_set.trained)
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    rows = _rows(job, images, verdicts, feature_set)
    folds = plan(job.config, rows)
    with logs.progress(job.spark, "train"):
        settings = _tree_settings(job, feature_set)
        judgement = judge(job.config, rows, folds, settings)
        compared: precision.Comparison | None = None
        if job.config.backbone.precision == "auto" and feature_set.precision == names.INT8:
            with references.attached(job, images, feature_set.spec.reading) as seen:
                compared = compare_precision(job, rows, seen, folds, feature_set, settings)
                if compared is None or not compared.keeps_int8:
                    feature_set = featurize_again(job, seen, feature_set)
                    rows.unpersist()
                    rows = _rows(job, images, verdicts, feature_set)
                    judgement = judge(job.config, rows, folds, settings)
        _write_judged(job, judgement, images, verdicts)
        curve = learning_curve(job.config, rows, folds, judgement.judged, settings)
        found = [*judgement.metrics, *curve]
        found += compared.as_metrics() if compared else []
        if graphs.PIXELS in feature_set.spec.levels:
            pixels = _pixels_alone(rows, feature_set)
            found += baseline_metrics(job.config, pixels, folds, settings.compared)
        fitted = lightgbm_on_spark.fit_whole(rows, settings, seed=job.config.seed)
    written = _write_bundle(
        job, feature_set, fitted, settings, judgement.thresholds, found, rows, compared
    )
    write_metrics(job, found, written.manifest.model_version)
    made = tables.read(job.spark, job.table(FEATURES), schemas.FEATURES_TABLE)
    trained = rows.count()
    counts = Counts(
        rows_in=made.count(),
        rows_out=trained,
        rows_rejected=made.join(rows.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti").count(),
    )
    rows.unpersist()
    close_books(job, "train", {names.KIND_IMAGE: counts}, job.table(FEATURES), began)
    return counts


def _tree_settings(job: Job, feature_set: FeatureSet) -> TreeSettings:
    """Fill in, once, all that judging and fitting go by and the manifest records."""
    spec = feature_set.spec
    settings = job.config.classifier.for_reference_mode(
        difference=spec.difference, image_width=spec.image_width
    )
    tasks = lightgbm_on_spark.task_count(job.spark, settings)
    image = settings.image and settings.image.model_copy(update={"num_tasks": tasks})
    return settings.model_copy(update={"num_tasks": tasks, "image": image})


def _rows(job: Job, images: DataFrame, verdicts: DataFrame, feature_set: FeatureSet) -> DataFrame:
    made = tables.read(job.spark, job.table(FEATURES), schemas.FEATURES_TABLE)
    usable = references.current(job, made, images, feature_set.spec.reading)
    count = usable.count()
    stale = made.count() - count
    hint = "run the featurize job again"
    if stale and not count:
        what = f"none of the {stale} features is of what the images table holds by now"
        raise InputError(what, hint=hint)
    if stale:
        log.warning("%d features are of files or references replaced since: %s", stale, hint)
    judged = examples.training_rows(usable, images, verdicts)
    judged = examples.newest(judged, job.config.folds.window_days)
    rows = gate.weigh(judged, read_reviews(job))
    dated = kept(examples.with_group_date(rows, GROUP_COLUMN[job.config.folds.group]))
    if names.GATED in dated.columns:
        _tell_gated(dated)
    return dated


def _tell_gated(rows: DataFrame) -> None:
    gated = F.sum(F.col(names.GATED).cast("int"))
    chosen, total = rows.agg(gated, F.count("*")).first() or (0, 0)
    log.info(
        "%d of %d verdicts are there because of a score: weighed in training and figures, "
        "left out of the promise",
        chosen or 0, total,
    )  # fmt: skip


def _pixels_alone(rows: DataFrame, feature_set: FeatureSet) -> DataFrame:
    """The same rows, of whose features the numbers of the network are left out."""
    numbers = graphs.column_slices(feature_set.spec)[graphs.PIXELS, graphs.PIXELS]
    width = numbers.stop - numbers.start
    kept = F.slice(names.FEATURES, numbers.start + 1, width)
    return rows.withColumn(names.FEATURES, kept)


def _write_judged(job: Job, judgement: Judgement, images: DataFrame, verdicts: DataFrame) -> None:
    """Write the out-of-fold scores and the verdicts that they cast doubt on; log the thresholds."""
    run_id = F.lit(job.run_id)
    marked = gate.unweighed(judgement.out_of_fold).withColumns(
        {names.RUN_ID: run_id, names.MODEL_VERSION: run_id}
    )
    tables.replace(marked, job.table(OUT_OF_FOLD), schemas.OUT_OF_FOLD, lease=job.lease)
    doubtful = suspects.suspects(images, verdicts, judgement.judged).withColumn(
        names.RUN_ID, run_id
    )
    tables.replace(doubtful, job.table(SUSPECTS), schemas.SUSPECTS, lease=job.lease)
    chosen = judgement.thresholds
    job.promises[:] = [
        f"promise: {chosen.pooled.reason}",
        *(
            f"promise, {chosen.segment_by} {name}: {threshold.reason}"
            for name, threshold in chosen.by_segment.items()
        ),
    ]
    if not any((chosen.pooled.rank, *(each.rank for each in chosen.by_segment.values()))):
        job.promises.append(first_flags.sentence(judgement.judged))
    for said in job.promises:
        log.info("%s", said)
    for name, reason in chosen.pooled_segments.items():
        log.info("promise, %s %s uses the pooled one: %s", chosen.segment_by, name, reason)


def _write_bundle(
    job: Job,
    feature_set: FeatureSet,
    fitted: lightgbm_on_spark.Fitted,
    settings: TreeSettings,
    thresholds: Thresholds,
    found: Sequence[metrics.Metric],
    rows: DataFrame,
    compared: precision.Comparison | None,
) -> bundle.Bundle:
    parts = {
        bundle.FEATURES: feature_set.graph.SerializeToString(deterministic=True),
        **_classifier_parts(fitted),
    }
    classifier = classifiers.of_parts(parts, feature_set.spec.width, fitted.image_width)
    fused = graphs.scoring_graph(feature_set.graph, *classifier)
    parts[bundle.GRAPH] = fused.SerializeToString(deterministic=True)
    if job.config.monitor.enabled:
        days = training_days.learn(job, rows, fitted.text, feature_set.spec.reading)
        parts[bundle.TRAINING_DAYS] = days.to_json().encode()
    window = _training_window(rows)
    summary = {
        f"{row.scope} {row.metric}": row.value for row in found if row.scope.kind in _SUMMARY
    }
    manifest = {
        "model_version": f"{window['until']}-{bundle.sha256(parts[bundle.GRAPH])[:12]}",
        "feature_set": feature_set.fingerprint,
        "feature_count": feature_set.spec.width,
        **feature_set.spec.record,
        "levels": list(feature_set.spec.levels),
        "pooling": list(feature_set.spec.pooling),
        "image_levels": list(feature_set.spec.image_levels),
        "precision": feature_set.precision,
        "precision_comparison": asdict(compared) if compared else {},
        "trained_backbone": feature_set.trained,
        "backbone": {
            "source": feature_set.backbone_source,
            "sha256": feature_set.backbone_sha256,
        },
        "threshold": thresholds.evidence(),
        "known": _known(rows) if job.config.policy.new_part == "review" else {},
        "metrics": summary,
        "training_window": window,
        "lineage": {
            "run_id": job.run_id,
            "config_sha256": job.config.sha256(),
            "config": json.loads(job.config.model_dump_json()),
            "classifier": settings.model_dump(),
            "images": job.table(IMAGES),
        },
        "versions": versions(),
        "created_at": job.started_at.isoformat(timespec="seconds"),
    }
    return write_bundle(job, manifest, parts)


def _classifier_parts(fitted: lightgbm_on_spark.Fitted) -> dict[str, bytes]:
    """The files of a bundle that hold what was fitted."""
    parts = {bundle.CLASSIFIER: fitted.text.encode()}
    if fitted.linear is not None:
        parts[bundle.LINEAR] = fitted.linear.to_json().encode()
    if fitted.image is not None:
        parts[bundle.IMAGE_CLASSIFIER] = fitted.image.text.encode()
        if fitted.image.linear is not None:
            parts[bundle.IMAGE_LINEAR] = fitted.image.linear.to_json().encode()
    return parts


def _known(rows: DataFrame) -> dict[str, list[str]]:
    """The lines and part numbers that the model was trained on."""
    found = rows.agg(*(F.sort_array(F.collect_set(each)).alias(each) for each in policy.KNOWN))
    return {} if (row := found.first()) is None else row.asDict()


def _training_window(rows: DataFrame) -> dict[str, Any]:
    first, last, images, fails, boards = rows.agg(
        F.min(names.CAPTURE_DATE),
        F.max(names.CAPTURE_DATE),
        F.count("*"),
        F.sum(examples.LABEL),
        F.countDistinct(names.BOARD_ID),
    ).first() or (date.min, date.min, 0, 0, 0)
    return {
        "from": first.isoformat(),
        "until": last.isoformat(),
        "images": images,
        "fails": fails,
        "boards": boards,
    }
