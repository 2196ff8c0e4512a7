"""The train job: ``features`` and ``verdicts`` become a judged classifier in a model bundle."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark import StorageLevel
from pyspark.sql import functions as F

from pcb_spark import (
    baseline,
    bundle,
    classifier,
    graphs,
    logs,
    metrics,
    policy,
    session,
    tables,
    trees,
)
from pcb_spark import schemas as s
from pcb_spark.errors import TrainingError
from pcb_spark.folds import Fold, plan_folds
from pcb_spark.pipeline.job import (
    FEATURES,
    IMAGES,
    METRICS,
    OUT_OF_FOLD,
    VERDICTS,
    Counts,
    Job,
    close_books,
    read_feature_set,
    refuse_untrained,
    versions,
    write_bundle,
)

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.features import FeatureSet

log = logging.getLogger(__name__)

_GROUP_COLUMN = {"board": s.BOARD_ID, "lot": s.LOT}
_SEGMENTS = (s.LINE, s.LOT, s.POSITION)


def run_train(job: Job) -> Counts:
    """Judge forward in time, fit on everything, write bundle, out-of-fold scores and metrics."""
    began = time.monotonic()
    feature_set = read_feature_set(job)
    refuse_untrained(job.config, trained=feature_set.trained, source=feature_set.backbone_source)
    features = tables.read(job.spark, job.table(FEATURES), s.FEATURES_TABLE)
    images = tables.read(job.spark, job.table(IMAGES), s.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), s.VERDICTS)
    rows = classifier.training_rows(features, images, verdicts)
    rows = classifier.with_group_date(rows, _GROUP_COLUMN[job.config.folds.group])
    rows = _kept(job, rows)
    folds = _plan(job, rows)
    with logs.progress(job.spark, "train"):
        judged = classifier.out_of_fold(rows, folds, job.config.classifier, seed=job.config.seed)
        out_of_fold = _write_out_of_fold(job, judged)
        _check_judged(out_of_fold)
        threshold = policy.choose_threshold(
            out_of_fold[s.VERDICT] == s.VERDICT_FAIL,
            out_of_fold[s.PROBABILITY],
            max_slip_rate=job.config.policy.max_slip_rate,
            confidence=job.config.policy.confidence,
        )
        log.info("policy: %s", threshold.reason)
        found = [
            *_evaluate(job, out_of_fold, threshold.value),
            *_evaluate_forward(job, out_of_fold),
            *_evaluate_baseline(job, rows, images, folds, difference=feature_set.spec.difference),
        ]
        model = classifier.fit(rows, job.config.classifier, seed=job.config.seed)
    text = model.getNativeModel()
    written = _write_bundle(job, feature_set, text, threshold, found, rows)
    _write_metrics(job, found, written.manifest.model_version)
    trained = rows.count()
    counts = Counts(
        rows_in=features.count(),
        rows_out=trained,
        rows_rejected=features.join(rows.select(s.IMAGE_ID), s.IMAGE_ID, "left_anti").count(),
    )
    rows.unpersist()
    close_books(job, "train", {s.KIND_IMAGE: counts}, job.table(FEATURES), began)
    return counts


def _kept(job: Job, rows: DataFrame) -> DataFrame:
    """Keep rows for the many passes of training, in one partition a task slot.

    A join leaves 200 partitions, and each pass would start as many tasks.
    """
    slots = session.task_slots(job.spark)
    return rows.repartition(slots, s.IMAGE_ID).persist(StorageLevel.MEMORY_AND_DISK)


def _plan(job: Job, rows: DataFrame) -> tuple[Fold, ...]:
    classifier.check_classes(rows, "the images with features and verdict")
    wanted = job.config.folds
    days = rows.select(classifier.GROUP_DATE).distinct().collect()
    folds = plan_folds(
        [day[0] for day in days],
        n_folds=wanted.n,
        first_fraction=wanted.first_fraction,
        gap_days=wanted.gap_days,
    )
    for fold in folds:
        log.info(
            "fold %d: train before %s, test %s to %s",
            fold.index, fold.train_before, fold.test_from, fold.test_until,
        )  # fmt: skip
    return folds


def _write_out_of_fold(job: Job, judged: DataFrame) -> pd.DataFrame:
    """Keep the out-of-fold scores as a table and return them in the order of their ids."""
    version = F.lit(job.run_id)
    marked = judged.withColumns({s.RUN_ID: F.lit(job.run_id), s.MODEL_VERSION: version})
    tables.replace(marked, job.table(OUT_OF_FOLD), s.OUT_OF_FOLD)
    kept = tables.read(job.spark, job.table(OUT_OF_FOLD), s.OUT_OF_FOLD)
    return _by_image(kept)


def _check_judged(scores: pd.DataFrame) -> None:
    if scores.groupby(s.FOLD)[s.VERDICT].nunique().max() == 1:
        what = "no test window holds both verdicts, so the classifier can't be judged"
        raise TrainingError(what, hint="wait for more verdicts, or use fewer folds (folds.n)")


def _by_image(df: DataFrame) -> pd.DataFrame:
    collected: pd.DataFrame = df.toPandas()
    return collected.sort_values(s.IMAGE_ID, ignore_index=True)


def _evaluate(job: Job, scores: pd.DataFrame, threshold: float) -> list[metrics.Metric]:
    return metrics.evaluate_scores(
        scores[s.VERDICT] == s.VERDICT_FAIL,
        scores[s.PROBABILITY],
        board_id=scores[s.BOARD_ID].tolist(),
        fold=scores[s.FOLD],
        segments={name: scores[name].tolist() for name in _SEGMENTS},
        defects=scores[s.DEFECTS].tolist(),
        threshold=threshold,
        seed=job.config.seed,
        resamples=job.config.policy.bootstrap_resamples,
        confidence=job.config.policy.confidence,
    )


def _evaluate_forward(job: Job, scores: pd.DataFrame) -> Iterable[metrics.Metric]:
    """What the rule would have done: threshold from the folds before, outcome on the next one."""
    wanted = job.config.policy
    steps = policy.evaluate_forward(
        scores[s.VERDICT] == s.VERDICT_FAIL,
        scores[s.PROBABILITY],
        scores[s.FOLD],
        max_slip_rate=wanted.max_slip_rate,
        confidence=wanted.confidence,
    )
    for step in steps:
        for name, rate in step.outcome.rates(confidence=wanted.confidence).items():
            yield metrics.Metric(
                scope=f"forward={step.fold}",
                metric=name,
                value=rate.value,
                lower=rate.lower,
                upper=rate.upper,
                n=rate.n,
            )


def _evaluate_baseline(
    job: Job, rows: DataFrame, images: DataFrame, folds: Sequence[Fold], *, difference: bool
) -> list[metrics.Metric]:
    """Judge the classical pixel difference on the same images, folds and classifier."""
    if not difference:
        return []
    pixels = baseline.pixel_differences(images, max_pixels=job.config.ingest.max_pixels)
    replaced = rows.drop(s.FEATURES).join(pixels, s.IMAGE_ID)
    replaced = _kept(job, replaced)
    settings = job.config.classifier.model_copy(update={"feature_fraction": 0.5})
    judged = _by_image(classifier.out_of_fold(replaced, folds, settings, seed=job.config.seed))
    replaced.unpersist()
    return [
        metrics.Metric(
            scope=row.scope, metric=f"baseline_{row.metric}", value=row.value, lower=row.lower,
            upper=row.upper, n=row.n,
        )
        for row in _evaluate(job, judged, 0.0)
        if row.metric in metrics.RANKING and not row.scope.startswith(("lot", "line", "position"))
    ]  # fmt: skip


def _write_bundle(
    job: Job,
    feature_set: FeatureSet,
    text: str,
    threshold: policy.Threshold,
    found: Sequence[metrics.Metric],
    rows: DataFrame,
) -> bundle.Bundle:
    fused = graphs.scoring_graph(feature_set.graph, trees.convert(text, feature_set.spec.width))
    parts = {
        bundle.GRAPH: fused.SerializeToString(deterministic=True),
        bundle.FEATURES: feature_set.graph.SerializeToString(deterministic=True),
        bundle.CLASSIFIER: text.encode(),
    }
    window = _training_window(rows)
    summary = {
        f"{row.scope} {row.metric}": row.value
        for row in found
        if row.scope.startswith(("overall", "folds_mean", "fold=", "forward="))
    }
    manifest = {
        "model_version": f"{window['until']}-{bundle.sha256(parts[bundle.GRAPH])[:12]}",
        "feature_set": feature_set.fingerprint,
        "feature_count": feature_set.spec.width,
        "levels": list(feature_set.spec.levels),
        "pooling": list(feature_set.spec.pooling),
        "difference": feature_set.spec.difference,
        "precision": feature_set.precision,
        "trained_backbone": feature_set.trained,
        "backbone": {
            "source": feature_set.backbone_source,
            "sha256": feature_set.backbone_sha256,
        },
        "threshold": asdict(threshold),
        "metrics": summary,
        "training_window": window,
        "lineage": {
            "run_id": job.run_id,
            "config_sha256": job.config.sha256(),
            "config": json.loads(job.config.model_dump_json()),
            "images": job.table(IMAGES),
        },
        "versions": versions(),
        "created_at": job.started_at.isoformat(timespec="seconds"),
    }
    return write_bundle(job, manifest, parts)


def _training_window(rows: DataFrame) -> dict[str, Any]:
    first, last, images, fails, boards = rows.agg(
        F.min(s.CAPTURE_DATE),
        F.max(s.CAPTURE_DATE),
        F.count("*"),
        F.sum(classifier.LABEL),
        F.countDistinct(s.BOARD_ID),
    ).first() or (date.min, date.min, 0, 0, 0)
    return {
        "from": first.isoformat(),
        "until": last.isoformat(),
        "images": images,
        "fails": fails,
        "boards": boards,
    }


def _write_metrics(job: Job, found: Sequence[metrics.Metric], model_version: str) -> None:
    rows = [
        (
            job.run_id, model_version, row.scope, row.metric, row.value, row.lower, row.upper,
            row.n, job.started_at,
        )
        for row in found
    ]  # fmt: skip
    tables.append_rows(job.spark, rows, job.table(METRICS), s.METRICS)
