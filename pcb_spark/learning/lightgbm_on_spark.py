"""LightGBM on Spark: features and verdicts become a classifier, judged forward in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from pyspark.ml.feature import ElementwiseProduct
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from pcb_spark.core import names
from pcb_spark.core.linear import IMAGE_SHARE, Linear, mean
from pcb_spark.lake import session
from pcb_spark.learning import logistic_regression
from pcb_spark.learning.examples import GROUP_DATE, LABEL, check_classes, window_name
from pcb_spark.network import trees

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame, SparkSession
    from synapse.ml.lightgbm import LightGBMClassificationModel, LightGBMClassifier

    from pcb_spark.learning.folds import Fold
    from pcb_spark.learning.settings import TreeSettings

_VECTOR = "feature_vector"
_MASKED = "masked_vector"
_LOG_ODDS, _IMAGE_LOG_ODDS, _WHOLE = "log_odds", "image_log_odds", "whole_features"

log = logging.getLogger(__name__)


def fit(rows: DataFrame, config: TreeSettings, *, seed: int) -> LightGBMClassificationModel:
    """Fit on ``features`` and ``label``; the same rows and seed give the same trees.

    Rows are put in the order of a hash: LightGBM takes bin boundaries from the first rows of its
    sample, and rows in the order of time would show it the oldest days only.

    With ``keep_features`` a second fit sees 0 in place of every other feature. LightGBM passes
    over features that have one value only, so the trees read the kept ones at their places in the
    whole vector, and whatever serves them needs no list of what was kept. A column ``weight`` says
    how many images each stands for.

    Raises
    ------
    TrainingError : fewer than two classes.
    """
    check_classes(rows, "the training rows")
    tasks = task_count(rows.sparkSession, config)
    shuffled = F.xxhash64(names.IMAGE_ID, F.lit(seed))
    given = [name for name in (LABEL, names.WEIGHT) if name in rows.columns]
    vectors = rows.select(
        names.IMAGE_ID, *given, array_to_vector(F.col(names.FEATURES)).alias(_VECTOR)
    )
    ordered = vectors.repartition(tasks, names.IMAGE_ID).sortWithinPartitions(shuffled)
    estimator = _estimator(config, seed=seed, tasks=tasks)
    if names.WEIGHT in given:
        estimator = estimator.setWeightCol(names.WEIGHT)
    if not config.keep_features:
        return estimator.fit(ordered)
    first = estimator.fit(ordered)
    kept = trees.most_important(first.getNativeModel(), config.keep_features)
    return estimator.fit(_only(ordered, kept)) if kept.any() else first


def task_count(spark: SparkSession, config: TreeSettings) -> int:
    """How many workers a fit has: as many as are configured, or as run at once."""
    slots = session.task_slots(spark)
    # LightGBM's workers wait for one another: more of them than run at once would wait for ever.
    return min(config.num_tasks or slots, slots)


def _estimator(config: TreeSettings, *, seed: int, tasks: int) -> LightGBMClassifier:
    from synapse.ml.lightgbm import LightGBMClassifier

    return LightGBMClassifier(
        featuresCol=_VECTOR,
        labelCol=LABEL,
        objective="binary",
        numIterations=config.num_iterations,
        learningRate=config.learning_rate,
        numLeaves=config.num_leaves,
        minDataInLeaf=config.min_data_in_leaf,
        minSumHessianInLeaf=config.min_sum_hessian_in_leaf,
        featureFraction=config.feature_fraction,
        lambdaL2=config.lambda_l2,
        isUnbalance=config.is_unbalance,
        seed=seed,
        deterministic=True,
        numTasks=tasks,
        dataTransferMode="bulk",
        passThroughArgs=f"force_row_wise=true scale_pos_weight={config.scale_pos_weight!r}",
        verbosity=-1,
    )


def _only(vectors: DataFrame, kept: NDArray[np.bool_]) -> DataFrame:
    """Put 0 in place of every feature but the ``kept`` ones."""
    product = ElementwiseProduct(
        scalingVec=Vectors.dense(kept), inputCol=_VECTOR, outputCol=_MASKED
    )
    return product.transform(vectors).drop(_VECTOR).withColumnRenamed(_MASKED, _VECTOR)


class Fitted(NamedTuple):
    """Trees, the line beside them if there is one, and what judges the image itself.

    ``image`` is fitted on the last ``image_width`` features and these on the others; None on all.
    """

    trees: LightGBMClassificationModel
    linear: Linear | None
    image: Fitted | None = None
    image_width: int = 0

    @property
    def text(self) -> str:
        """The trees in LightGBM's own text."""
        found: str = self.trees.getNativeModel()
        return found


def fit_whole(
    rows: DataFrame, config: TreeSettings, *, seed: int, sample: pd.DataFrame | None = None
) -> Fitted:
    """Fit all that a score is made of.

    Parameters
    ----------
    sample : those of the answer of ``logistic_regression.sample`` that are among ``rows``; None
        draws them.
    """
    if config.linear and sample is None:
        sample = logistic_regression.sample(rows, seed=seed)
    if config.image is None:
        return _fit_both(rows, sample, config, seed=seed)
    width, image = config.image_width, config.image
    compared = _fit_both(_without_last(rows, width), _cut(sample, None, -width), config.compared,
                         seed=seed)  # fmt: skip
    own = _fit_both(_last(rows, width), _cut(sample, -width, None), image, seed=seed)
    return compared._replace(image=own, image_width=width)


def _fit_both(
    rows: DataFrame, sample: pd.DataFrame | None, config: TreeSettings, *, seed: int
) -> Fitted:
    trees_ = fit(rows, config, seed=seed)
    if sample is None or not config.linear:
        return Fitted(trees_, None)
    line = logistic_regression.fit_sample(sample, config, trees_.getNativeModel())
    return Fitted(trees_, line)


def _last(rows: DataFrame, width: int) -> DataFrame:
    return rows.withColumn(names.FEATURES, F.slice(names.FEATURES, -width, width))


def _without_last(rows: DataFrame, width: int) -> DataFrame:
    kept = F.slice(names.FEATURES, F.lit(1), F.size(names.FEATURES) - width)
    return rows.withColumn(names.FEATURES, kept)


def _cut(sample: pd.DataFrame | None, start: int | None, stop: int | None) -> pd.DataFrame | None:
    if sample is None:
        return None
    columns = slice(start, stop)
    return sample.assign(**{names.FEATURES: [each[columns] for each in sample[names.FEATURES]]})


def predict(fitted: Fitted, rows: DataFrame) -> DataFrame:
    """Add ``probability`` of ``fail``, 0..1, by all that ``fit_whole`` fitted."""
    if fitted.image is None:
        scored = _with_log_odds(fitted, rows, _LOG_ODDS)
    else:
        whole = rows.withColumn(_WHOLE, F.col(names.FEATURES))
        own = _with_log_odds(fitted.image, _last(whole, fitted.image_width), _IMAGE_LOG_ODDS)
        others = _without_last(own.withColumn(names.FEATURES, F.col(_WHOLE)), fitted.image_width)
        scored = _with_log_odds(fitted, others, _LOG_ODDS)
        scored = scored.withColumn(names.FEATURES, F.col(_WHOLE))
        mixed = (1 - IMAGE_SHARE) * F.col(_LOG_ODDS) + IMAGE_SHARE * F.col(_IMAGE_LOG_ODDS)
        scored = scored.withColumn(_LOG_ODDS, mixed)
    fail = 1 / (1 + F.exp(-F.col(_LOG_ODDS)))
    return scored.select(*rows.columns, fail.alias(names.PROBABILITY))


def _with_log_odds(fitted: Fitted, rows: DataFrame, name: str) -> DataFrame:
    """Add the mean log-odds of trees and line under a name."""
    vectors = rows.withColumn(_VECTOR, array_to_vector(F.col(names.FEATURES)))
    scored: DataFrame = fitted.trees.transform(vectors)
    odds = vector_to_array(F.col(fitted.trees.getRawPredictionCol()))[1]
    if fitted.linear is not None:
        odds = _mean(fitted.linear)(odds, F.col(names.FEATURES))
    return scored.select(*rows.columns, odds.alias(name))


def _mean(linear: Linear) -> Callable[[Column, Column], Column]:
    """Mean log-odds from the trees' and the features."""

    def log_odds(of_trees: pd.Series, features: pd.Series) -> pd.Series:
        if of_trees.empty:
            return of_trees
        values = np.stack(features.to_list()).astype(np.float32)
        return pd.Series(mean(of_trees.to_numpy(), linear.log_odds(values)))

    found: Callable[[Column, Column], Column] = pandas_udf(log_odds, "double")  # type: ignore[call-overload]
    return found


def out_of_fold(
    rows: DataFrame, folds: Sequence[Fold], config: TreeSettings, *, seed: int
) -> DataFrame:
    """Score every fold by a classifier that saw only what came before it.

    Parameters
    ----------
    rows : answer of ``with_group_date``.

    Returns
    -------
    The rows of all test windows with ``fold`` and ``probability``, without their features.
    """
    kept = [name for name in rows.columns if name not in (names.FEATURES, LABEL, GROUP_DATE)]
    beside = logistic_regression.sample(rows, seed=seed) if config.linear else None
    parts = []
    for fold in folds:
        train = rows.where(F.col(GROUP_DATE) < F.lit(fold.train_before))
        test = rows.where(F.col(GROUP_DATE).between(fold.test_from, fold.test_until))
        check_classes(train, window_name(fold))
        before = None if beside is None else beside[beside[GROUP_DATE] < fold.train_before]
        fitted = fit_whole(train, config, seed=seed, sample=before)
        scored = predict(fitted, test).select(*kept, names.PROBABILITY)
        parts.append(scored.withColumn(names.FOLD, F.lit(fold.index)).localCheckpoint())
        log.info("fold %d judged, test from %s", fold.index, fold.test_from)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return whole
