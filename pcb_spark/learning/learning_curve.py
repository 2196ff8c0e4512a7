"""The learning curve: what less history would have done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.lake.scopes import HISTORY_DAYS, Scope
from pcb_spark.learning import examples, lightgbm_on_spark, metrics
from pcb_spark.learning.judge import collect
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.settings import resampling

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.folds import Fold
    from pcb_spark.learning.settings import LearningConfig, TreeSettings


def learning_curve(
    config: LearningConfig,
    rows: DataFrame,
    folds: Sequence[Fold],
    judged: Judged,
    settings: TreeSettings,
) -> Iterator[metrics.Metric]:
    """Say what more history is worth: the last fold, judged by the last days before it alone.

    Scopes are ``history_days``: all days with images before the fold, half of them, a quarter and
    so on, ``folds.learning_curve`` times; windows of one class are left out.

    Parameters
    ----------
    judged : ``Judgement.judged``, which holds the answer of all days.
    """
    last = folds[-1]
    days = _days_before(rows, last)
    yield from _history(config, len(days), judged[judged.fold == last.index])
    lengths = {len(days) >> halved for halved in range(1, config.folds.learning_curve + 1)}
    for length in sorted(lengths - {0, len(days)}, reverse=True):
        fails, images = (
            sum(counts) for counts in zip(*(c for _, c in days[-length:]), strict=True)
        )
        if 0 < fails < images:
            recent = rows.where(F.col(examples.GROUP_DATE) >= F.lit(days[-length][0]))
            scored = lightgbm_on_spark.out_of_fold(recent, [last], settings, seed=config.seed)
            yield from _history(config, length, Judged.read(collect(scored)))


def _days_before(rows: DataFrame, fold: Fold) -> list[tuple[Any, tuple[int, int]]]:
    """Give each day of the training window with its fails and images, in the order of time."""
    day = F.col(examples.GROUP_DATE)
    window = rows.where(day < F.lit(fold.train_before)).groupBy(day.alias("day"))
    counted = window.agg(F.sum(examples.LABEL).alias("fails"), F.count("*").alias("images"))
    return [(row["day"], (row["fails"], row["images"])) for row in counted.sort("day").collect()]


def _history(config: LearningConfig, days: int, judged: Judged) -> list[metrics.Metric]:
    scope = Scope(HISTORY_DAYS, str(days))
    promise, drawn = config.policy.promise, resampling(config)
    return metrics.evaluate_scope(scope, judged, promise, drawn, metrics.RANKING)
