"""The tune job: ``images`` and ``verdicts`` become ``trials``, and the setting that ranks best."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import IMAGES, TRIALS, TUNE_FEATURES, VERDICTS
from pcb_spark.lake.run import Counts, close_books
from pcb_spark.lake.scopes import TRIAL, Scope
from pcb_spark.learning import examples, gate, lightgbm_on_driver, metrics, tuning
from pcb_spark.learning.examples import GROUP_COLUMN
from pcb_spark.learning.judge import plan_dates
from pcb_spark.learning.judged import Judged
from pcb_spark.network import features, graphs
from pcb_spark.pipeline import logs, references
from pcb_spark.pipeline.artifacts import read_reviews
from pcb_spark.pipeline.featurize import calibration
from pcb_spark.pipeline.job import Job, load_backbone, write_metrics

if TYPE_CHECKING:
    import onnx
    import pandas as pd
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)

_LEVELS = {
    True: (graphs.PIXELS, "layer1", "layer2", "layer3"),
    False: ("layer1", "layer2", "layer3", graphs.AVGPOOL),
}
_POOLING = ("mean", "max")
_BUCKETS = 10_000


def run_tune(job: Job) -> Counts:
    """Compute features once for all levels, search on the driver, write ``trials`` and metrics."""
    began = time.monotonic()
    source = load_backbone(job.config)
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    judged = images.join(
        verdicts.where(F.col(names.VERDICT).isNotNull()).select(names.IMAGE_ID),
        names.IMAGE_ID,
        "left_semi",
    )
    total = judged.count()
    sampled = _sample(judged, total, job.config.tune.max_images)
    specs = _specs(job, sampled)
    with contextlib.ExitStack() as caches:
        caches.enter_context(logs.progress(job.spark, "tune"))
        chosen = caches.enter_context(references.attached(job, sampled, specs[0].reading))
        samples = [calibration(job, chosen, spec) for spec in specs]
        sets = [
            features.build(source, spec, calibration=sample)
            for spec, sample in zip(specs, samples, strict=True)
        ]
        rows = [_rows(job, each, chosen, verdicts) for each in sets]
    examples = _examples(job, specs, rows)
    log.info("tune on %d images, up to %d trials", len(examples.images), job.config.tune.trials)
    study = _study_name(job, sets, examples)
    found = tuning.search(
        examples,
        job.config,
        study_name=study,
        storage=job.config.tune.storage_file,
        threads=session.task_slots(job.spark),
        configured=[
            features.spec_of(
                job.config.features,
                difference=spec.difference,
                bit_depth=spec.reading.bit_depth,
                references=spec.reading.references,
            )
            for spec in specs
        ],
    )
    trunks = {
        spec.difference: features.trunk(source, spec, calibration=sample)
        for spec, sample in zip(specs, samples, strict=True)
    }
    _write(job, found, study, functools.cache(functools.partial(_milliseconds, trunks)))
    used = len(examples.images)
    counts = Counts(rows_in=total, rows_out=used, rows_rejected=total - used)
    close_books(job, "tune", {names.KIND_IMAGE: counts}, job.table(IMAGES), began)
    return counts


def _sample(images: DataFrame, total: int, most: int) -> DataFrame:
    """Leave out whole boards, drawn by a hash of their id, until about ``most`` images are left."""
    if total <= most:
        return images
    bucket = F.pmod(F.xxhash64(names.BOARD_ID), F.lit(_BUCKETS))
    return images.where(bucket < F.lit(_BUCKETS * most // total))


def _specs(job: Job, images: DataFrame) -> list[graphs.FeatureSpec]:
    """All levels and poolings of each reference mode that the images and ``auto`` leave open."""
    config = job.config.features
    chosen = references.choose_spec(job, images)
    modes = [True, False] if chosen.difference and config.reference == "auto" else []
    return [
        graphs.FeatureSpec(
            levels=job.config.tune.levels or _LEVELS[difference],
            pooling=_POOLING,
            image_levels=features.image_levels(config) if difference else (),
            reading=features.reading_of(
                config,
                difference=difference,
                bit_depth=chosen.reading.bit_depth,
                references=chosen.reading.references if difference else names.HANDED_OVER,
            ),
        )
        for difference in modes or [chosen.difference]
    ]


def _rows(
    job: Job, feature_set: features.FeatureSet, images: DataFrame, verdicts: DataFrame
) -> pd.DataFrame:
    """Features and labels on the driver; features that are there from before are used again."""
    kept = _features(job, feature_set, images)
    rows = gate.weigh(examples.training_rows(kept, images, verdicts), read_reviews(job))
    rows = examples.with_group_date(rows, GROUP_COLUMN[job.config.folds.group])
    collected: pd.DataFrame = rows.toPandas()
    return collected.set_index(names.IMAGE_ID, drop=False).sort_index()


def _features(job: Job, feature_set: features.FeatureSet, images: DataFrame) -> DataFrame:
    """Features of ``images``; what a search before made of them by the same graph is used again."""
    difference = feature_set.spec.difference
    uri = job.table(TUNE_FEATURES[difference])
    made_before = _made_before(job, uri, feature_set.fingerprint)
    missing = images
    if made_before is not None:
        again = features.current(made_before, images, difference=difference)
        missing = images.join(again, names.IMAGE_ID, "left_anti")
    count = missing.count()
    if count:
        log.info("tune: features of %d images, %s", count, "+".join(feature_set.spec.levels))
        made = features.featurize(missing, feature_set, job.plan(count))
        usable = made.where(F.col(names.REASON).isNull())
        if made_before is None:
            tables.replace(usable, uri, schemas.FEATURES_TABLE, lease=job.lease)
        else:
            tables.append(usable, uri, schemas.FEATURES_TABLE)
    return features.current(
        tables.read(job.spark, uri, schemas.FEATURES_TABLE), images, difference=difference
    )


def _made_before(job: Job, uri: str, fingerprint: str) -> DataFrame | None:
    if not tables.exists(job.spark, uri):
        return None
    made = tables.read(job.spark, uri, schemas.FEATURES_TABLE)
    others = made.where(F.col(names.FEATURE_SET) != fingerprint)
    return made if others.isEmpty() else None


def _examples(
    job: Job, specs: Sequence[graphs.FeatureSpec], rows: Sequence[pd.DataFrame]
) -> tuning.Examples:
    """Keep the images that have features in every mode, so that modes can be compared."""
    shared = rows[0].index
    for each in rows[1:]:
        shared = shared.intersection(each.index)
    aligned = [each.loc[shared] for each in rows]
    first = aligned[0]
    dates = first[examples.GROUP_DATE].to_numpy()
    windows = plan_dates(job.config, dates.tolist())
    return tuning.Examples(
        images=Judged.read(first.assign(**{names.PROBABILITY: np.nan, names.FOLD: 0})),
        folds=lightgbm_on_driver.row_numbers(dates, windows),
        tables=[
            tuning.FeatureTable(
                spec=spec, values=np.stack(each[names.FEATURES].to_list()).astype(np.float32)
            )
            for spec, each in zip(specs, aligned, strict=True)
        ],
    )


def _study_name(job: Job, sets: Sequence[features.FeatureSet], examples: tuning.Examples) -> str:
    """Name what can be compared: images, verdicts, folds, features, trees, seed and policy."""
    promise, judged = job.config.policy.promise, examples.images
    digest = hashlib.sha256(judged.is_fail.tobytes())
    for train, test in examples.folds:
        digest.update(train.tobytes() + test.tobytes())
    by_lot = names.LOT if promise.bound == "lot" else None
    for column in filter(None, (by_lot, promise.segment_by)):
        digest.update(json.dumps(judged.segments(column).tolist()).encode())
    digest.update(judged.gated.tobytes() + judged.weight.tobytes())
    filled = [
        job.config.classifier.for_reference_mode(
            difference=each.spec.difference, image_width=each.spec.image_width
        ).model_dump()
        for each in sets
    ]
    about = [
        [each.fingerprint for each in sets],
        filled,
        job.config.seed,
        job.config.policy.model_dump(),
    ]
    digest.update(json.dumps(about).encode())
    return digest.hexdigest()[:12]


def _write(
    job: Job,
    found: Sequence[tuning.Trial],
    study: str,
    cost: Callable[[graphs.FeatureSpec], float],
) -> None:
    """Append every trial of the study to ``trials``, and its figures to ``metrics``."""
    rows, figures = [], list[metrics.Metric]()
    for trial in found:
        spec, milliseconds = trial.spec, cost(trial.spec)
        rows.append(
            (
                job.run_id, study, trial.number, list(spec.levels), list(spec.pooling),
                spec.difference, trial.classifier.drawn_json(), trial.roc_auc, trial.lower,
                trial.upper, list(trial.roc_auc_by_fold), trial.slip_rate, trial.worst_slip_rate,
                trial.false_call_reduction, trial.review_reduction, spec.width, milliseconds,
            )
        )  # fmt: skip
        scope = Scope(TRIAL, str(trial.number))
        figures.append(
            metrics.Metric(scope, "roc_auc", trial.roc_auc, trial.lower, trial.upper, trial.n)
        )
        figures += [
            metrics.Metric(scope, name, value, None, None, trial.n)
            for name, value in (
                ("slip_rate", trial.slip_rate),
                ("false_call_reduction", trial.false_call_reduction),
                ("review_reduction", trial.review_reduction),
                ("milliseconds", milliseconds),
            )
        ]
    tables.append_rows(job.spark, rows, job.table(TRIALS), schemas.TRIALS)
    write_metrics(job, figures, study)


def _milliseconds(trunks: Mapping[bool, onnx.ModelProto], spec: graphs.FeatureSpec) -> float:
    """Time the features graph of ``spec``; what it doesn't read of the trunk isn't in it."""
    graph = graphs.features_graph(trunks[spec.difference], spec)
    return tuning.milliseconds(graph, difference=spec.difference)
