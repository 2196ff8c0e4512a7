"""The learning curve: what less history would have done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.learning import examples, lightgbm_on_spark, metrics
from pcb_spark.learning.judge import collect, drawn, is_fail

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from pcb_spark.learning.folds import Fold
    from pcb_spark.learning.settings import ClassifierConfig, LearningConfig


def learning_curve(
    config: LearningConfig,
    rows: DataFrame,
    folds: Sequence[Fold],
    scores: pd.DataFrame,
    settings: ClassifierConfig,
) -> Iterator[metrics.Metric]:
    """Say what more history is worth: the last fold, judged by the last days before it alone.

    Scopes are ``history_days=12``: all days with images before the fold, half of them, a quarter
    and so on, ``folds.learning_curve`` times; windows of one class are left out.

    Parameters
    ----------
    scores : ``Judgement.scores``, which hold the answer of all days.
    """
    last = folds[-1]
    days = _days_before(rows, last)
    yield from _history(config, len(days), scores[scores[names.FOLD] == last.index])
    lengths = {len(days) >> halved for halved in range(1, config.folds.learning_curve + 1)}
    for length in sorted(lengths - {0, len(days)}, reverse=True):
        fails, images = (
            sum(counts) for counts in zip(*(c for _, c in days[-length:]), strict=True)
        )
        if 0 < fails < images:
            recent = rows.where(F.col(examples.GROUP_DATE) >= F.lit(days[-length][0]))
            judged = lightgbm_on_spark.out_of_fold(recent, [last], settings, seed=config.seed)
            yield from _history(config, length, collect(judged))


def _days_before(rows: DataFrame, fold: Fold) -> list[tuple[Any, tuple[int, int]]]:
    """Give each day of the training window with its fails and images, in the order of time."""
    day = F.col(examples.GROUP_DATE)
    window = rows.where(day < F.lit(fold.train_before)).groupBy(day.alias("day"))
    counted = window.agg(F.sum(examples.LABEL).alias("fails"), F.count("*").alias("images"))
    return [(row["day"], (row["fails"], row["images"])) for row in counted.sort("day").collect()]


def _history(config: LearningConfig, days: int, scores: pd.DataFrame) -> list[metrics.Metric]:
    return metrics.evaluate_scope(
        f"history_days={days}",
        is_fail(scores),
        scores[names.PROBABILITY],
        board_id=scores[names.BOARD_ID].tolist(),
        names=metrics.RANKING,
        **drawn(config),
    )
