"""What a feature table is worth: out-of-fold scores, thresholds from them, and every figure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypedDict

from pyspark import StorageLevel

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.lake import session
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

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.learning.settings import ClassifierConfig, LearningConfig
    from pcb_spark.learning.thresholds import Thresholds

log = logging.getLogger(__name__)

_SCOPES = (names.LINE, names.LOT, names.POSITION, names.PART_NUMBER)
_SEGMENT_COLUMN = {"none": None, "line": names.LINE, "part_number": names.PART_NUMBER}
#: Scopes in which the baseline stands beside the model.
_BASELINE_SCOPES = ("overall", "folds_mean", "fold=", "defect=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of judging one feature table.

    Attributes
    ----------
    out_of_fold : answer of ``lightgbm_on_spark.out_of_fold``.
    scores : the same on the driver, in the order of ``image_id``.
    """

    out_of_fold: DataFrame
    scores: pd.DataFrame
    thresholds: Thresholds
    metrics: list[metrics.Metric]


class Drawn(TypedDict):
    """What every interval needs."""

    seed: int
    resamples: int
    confidence: float


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
    config: LearningConfig,
    rows: DataFrame,
    folds: Sequence[Fold],
    settings: ClassifierConfig | None = None,
) -> Judgement:
    """Score every fold by a classifier of the days before, choose thresholds, and evaluate.

    Parameters
    ----------
    rows : answer of ``examples.with_group_date``, best ``kept``.
    settings : of the classifier, where they aren't the configuration's.

    Raises
    ------
    TrainingError : a training window or all test windows lack one of the verdicts.
    """
    out_of_fold = lightgbm_on_spark.out_of_fold(
        rows, folds, settings or config.classifier, seed=config.seed
    )
    scores = collect(out_of_fold)
    if scores.groupby(names.FOLD)[names.VERDICT].nunique().max() == 1:
        what = "no test window holds both verdicts, so the classifier can't be judged"
        raise TrainingError(what, hint="wait for more verdicts, or use fewer folds (folds.n)")
    promise = _promise(config, scores)
    fails, segments = is_fail(scores), segments_of(config, scores)
    chosen = thresholds.choose_thresholds(
        fails,
        scores[names.PROBABILITY],
        segments,
        segment_by=_SEGMENT_COLUMN[config.policy.segments],
        **promise,
    )
    found = [
        *_evaluate(config, scores, chosen.values(segments)),
        *calibration.evaluate_calibration(
            fails, scores[names.PROBABILITY], confidence=config.policy.confidence
        ),
        metrics.Metric(
            "overall", "threshold", chosen.pooled.value, None, None, chosen.pooled.defects
        ),
        *_evaluate_forward(config, scores),
    ]
    if config.policy.caught_ppm is not None:
        found += metrics.escape_ppm(found, config.policy.caught_ppm)
    return Judgement(out_of_fold=out_of_fold, scores=scores, thresholds=chosen, metrics=found)


def baseline_metrics(
    config: LearningConfig, rows: DataFrame, pixels: DataFrame, folds: Sequence[Fold]
) -> list[metrics.Metric]:
    """Judge the classical pixel difference on the same images, folds and classifier.

    Parameters
    ----------
    pixels : answer of ``pixel_difference.pixel_differences``.
    """
    replaced = rows.drop(names.FEATURES).join(pixels, names.IMAGE_ID)
    settings = config.classifier.model_copy(update={"feature_fraction": 0.5})
    scores = judge_on_driver(config, replaced, folds, settings)
    return [
        replace(row, metric=f"baseline_{row.metric}")
        for row in _evaluate(config, scores, 0.0)
        if row.metric in metrics.RANKING and row.scope.startswith(_BASELINE_SCOPES)
    ]


def judge_on_driver(
    config: LearningConfig, rows: DataFrame, folds: Sequence[Fold], settings: ClassifierConfig
) -> pd.DataFrame:
    """Score every fold as ``judge`` does, for so few numbers that the driver holds them all.

    Parameters
    ----------
    rows : answer of ``examples.with_group_date``.

    Returns
    -------
    Out-of-fold scores in the order of ``image_id``.
    """
    return lightgbm_on_driver.out_of_fold(
        collect(rows), folds, settings,
        seed=config.seed, threads=session.task_slots(rows.sparkSession),
    )  # fmt: skip


def collect(rows: DataFrame) -> pd.DataFrame:
    """Bring rows to the driver, in the order of ``image_id``."""
    collected: pd.DataFrame = rows.toPandas()
    return collected.sort_values(names.IMAGE_ID, ignore_index=True)


def is_fail(scores: pd.DataFrame) -> pd.Series[bool]:
    """Say which images are true defects."""
    return scores[names.VERDICT] == names.VERDICT_FAIL


def segments_of(config: LearningConfig, scores: pd.DataFrame) -> list[str | None]:
    """Say which threshold of its own each row may have; None where all share one."""
    column = _SEGMENT_COLUMN[config.policy.segments]
    return [None] * len(scores) if column is None else scores[column].tolist()


def _promise(config: LearningConfig, scores: pd.DataFrame) -> dict[str, Any]:
    """Give what every choice of thresholds needs."""
    correlated = config.policy.correlated_boards
    return {
        "max_slip_rate": config.policy.max_slip_rate,
        "confidence": config.policy.confidence,
        "board_id": scores[names.BOARD_ID].tolist() if correlated else None,
    }


def drawn(config: LearningConfig) -> Drawn:
    """Give what every interval needs."""
    wanted = config.policy
    return Drawn(
        seed=config.seed, resamples=wanted.bootstrap_resamples, confidence=wanted.confidence
    )


def _evaluate(config: LearningConfig, scores: pd.DataFrame, threshold: Any) -> list[metrics.Metric]:
    return metrics.evaluate_scores(
        is_fail(scores),
        scores[names.PROBABILITY],
        board_id=scores[names.BOARD_ID].tolist(),
        fold=scores[names.FOLD],
        segments={name: scores[name].tolist() for name in _SCOPES},
        defects=scores[names.DEFECTS].tolist(),
        threshold=threshold,
        **drawn(config),
    )


def _evaluate_forward(config: LearningConfig, scores: pd.DataFrame) -> Iterator[metrics.Metric]:
    """What the rule would have done on each fold, ``forward=2`` and on, and on all, ``forward``."""
    steps = forward.evaluate_forward(
        is_fail(scores),
        scores[names.PROBABILITY],
        scores[names.FOLD],
        segments=segments_of(config, scores),
        **_promise(config, scores),
    )
    used = scores.assign(**{names.THRESHOLD: 0.0})
    for step in steps:
        now = used[names.FOLD] == step.fold
        used.loc[now, names.THRESHOLD] = step.values
        yield from _decisions(config, f"forward={step.fold}", used[now])
        pooled = step.thresholds.pooled
        scope = f"forward={step.fold}"
        yield metrics.Metric(scope, "threshold", pooled.value, None, None, pooled.defects)
    if steps:
        judged = used[names.FOLD].isin([step.fold for step in steps])
        yield from _decisions(config, "forward", used[judged])


def _decisions(config: LearningConfig, scope: str, scores: pd.DataFrame) -> list[metrics.Metric]:
    return metrics.evaluate_scope(
        scope,
        is_fail(scores),
        scores[names.PROBABILITY],
        board_id=scores[names.BOARD_ID].tolist(),
        names=metrics.DECISIONS,
        threshold=scores[names.THRESHOLD],
        **drawn(config),
    )
