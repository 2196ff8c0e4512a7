"""What a feature table is worth: out-of-fold scores, thresholds from them, and every figure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from pyspark import StorageLevel

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.lake import session
from pcb_spark.lake.scopes import FORWARD, FORWARD_OVERALL, OVERALL, Scope
from pcb_spark.learning import (
    calibration,
    examples,
    forward,
    lightgbm_on_driver,
    lightgbm_on_spark,
    metrics,
    thresholds,
)
from pcb_spark.learning.folds import Fold, plan_folds
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.settings import resampling

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.learning.bootstrap import Resampling
    from pcb_spark.learning.promise import Promise
    from pcb_spark.learning.rates import Outcome
    from pcb_spark.learning.settings import LearningConfig, TreeSettings
    from pcb_spark.learning.thresholds import Thresholds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of judging one feature table.

    Attributes
    ----------
    out_of_fold : answer of ``lightgbm_on_spark.out_of_fold``.
    judged : the same on the driver, in the order of ``image_id``, at ``thresholds``.
    """

    out_of_fold: DataFrame
    judged: Judged
    thresholds: Thresholds
    metrics: list[metrics.Metric]


def kept(rows: DataFrame) -> DataFrame:
    """Keep rows for the many passes of training, in one partition a task slot.

    A join leaves 200 partitions, and each pass would start as many tasks.
    """
    slots = session.task_slots(rows.sparkSession)
    return rows.repartition(slots, names.IMAGE_ID).persist(StorageLevel.MEMORY_AND_DISK)


def plan(config: LearningConfig, rows: DataFrame) -> tuple[Fold, ...]:
    """Lay the folds over the group dates of ``rows``, and log them.

    Raises
    ------
    TrainingError : one verdict only, or too few days.
    """
    examples.check_classes(rows, "the images with features and verdict")
    days = rows.select(examples.GROUP_DATE).distinct().collect()
    return plan_dates(config, [day[0] for day in days])


def plan_dates(config: LearningConfig, group_dates: Iterable[date]) -> tuple[Fold, ...]:
    """Lay the folds over group dates, and log them."""
    wanted = config.folds
    folds = plan_folds(
        group_dates,
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


def judge(
    config: LearningConfig, rows: DataFrame, folds: Sequence[Fold], settings: TreeSettings
) -> Judgement:
    """Score every fold by a classifier of the days before, choose thresholds, and evaluate.

    Parameters
    ----------
    rows : answer of ``examples.with_group_date``, best ``kept``.

    Raises
    ------
    TrainingError : a training window or all test windows lack one of the verdicts.
    """
    out_of_fold = lightgbm_on_spark.out_of_fold(rows, folds, settings, seed=config.seed)
    judged = Judged.read(collect(out_of_fold))
    if not any(_has_both_classes(judged[judged.fold == fold.index]) for fold in folds):
        what = "no test window holds both verdicts, so the classifier can't be judged"
        raise TrainingError(what, hint="wait for more verdicts, or use fewer folds (folds.n)")
    promise, drawn = config.policy.promise, resampling(config)
    chosen = thresholds.choose_thresholds(judged, promise)
    decided = chosen.on(judged)
    found = [
        *metrics.evaluate_scores(decided, promise, drawn),
        *calibration.evaluate_calibration(judged, confidence=promise.confidence),
        _threshold(OVERALL, chosen),
        *_evaluate_forward(judged, promise, drawn),
    ]
    if config.policy.caught_ppm is not None:
        found += metrics.escape_ppm(found, config.policy.caught_ppm)
    return Judgement(out_of_fold=out_of_fold, judged=decided, thresholds=chosen, metrics=found)


def _has_both_classes(judged: Judged) -> bool:
    """Whether there is anything to tell apart."""
    return bool(judged.is_fail.any() and not judged.is_fail.all())


def baseline_metrics(
    config: LearningConfig,
    rows: DataFrame,
    folds: Sequence[Fold],
    settings: TreeSettings,
) -> list[metrics.Metric]:
    """Judge the classical pixel difference on the same images, folds and classifier.

    Parameters
    ----------
    rows : as those of ``judge``, whose ``features`` are those of ``pixel_numbers`` alone.
    """
    wider = settings.model_copy(update={"feature_fraction": 0.5})
    judged = judge_on_driver(config, rows, folds, wider)
    promise, drawn = config.policy.promise, resampling(config)
    found = [
        *metrics.evaluate_folds(judged, promise, drawn),
        *metrics.evaluate_defects(judged, promise, drawn),
    ]
    return [
        replace(row, metric=f"baseline_{row.metric}")
        for row in found
        if row.metric in metrics.RANKING
    ]


def judge_on_driver(
    config: LearningConfig, rows: DataFrame, folds: Sequence[Fold], settings: TreeSettings
) -> Judged:
    """Score every fold as ``judge`` does, for so few numbers that the driver holds them all.

    Parameters
    ----------
    rows : answer of ``examples.with_group_date``.

    Returns
    -------
    The images of all test windows in the order of ``image_id``, without thresholds.
    """
    scores = lightgbm_on_driver.out_of_fold(
        collect(rows), folds, settings,
        seed=config.seed, threads=session.task_slots(rows.sparkSession),
    )  # fmt: skip
    return Judged.read(scores)


def collect(rows: DataFrame) -> pd.DataFrame:
    """Bring rows to the driver, in the order of ``image_id``."""
    collected: pd.DataFrame = rows.toPandas()
    return collected.sort_values(names.IMAGE_ID, ignore_index=True)


def _evaluate_forward(
    judged: Judged, promise: Promise, drawn: Resampling
) -> Iterator[metrics.Metric]:
    """What the rule would have done on each fold but the first, and on all of them."""
    steps = forward.evaluate_forward(judged, promise)
    for step in steps:
        scope = Scope(FORWARD, str(step.fold))
        yield from metrics.evaluate_scope(scope, step.judged, promise, drawn, metrics.DECISIONS)
        yield _next_slips(scope, step.next_outcome(promise))
        yield _threshold(scope, step.thresholds)
    if steps:
        whole = forward.all_steps(judged, steps)
        yield from metrics.evaluate_scope(FORWARD_OVERALL, whole, promise, drawn, metrics.DECISIONS)


def _next_slips(scope: Scope, found: Outcome) -> metrics.Metric:
    return metrics.Metric(scope, metrics.NEXT_SLIPS, float(found.slips), None, None, found.defects)


def _threshold(scope: Scope, chosen: Thresholds) -> metrics.Metric:
    pooled = chosen.pooled
    return metrics.Metric(scope, "threshold", pooled.value, None, None, pooled.defects)
