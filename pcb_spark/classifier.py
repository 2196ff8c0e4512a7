"""LightGBM on Spark: features and verdicts become a classifier, judged forward in time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.ml.feature import ElementwiseProduct
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark import schemas as s
from pcb_spark import session, trees
from pcb_spark.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame
    from synapse.ml.lightgbm import LightGBMClassificationModel, LightGBMClassifier

    from pcb_spark.folds import Fold
    from pcb_spark.sections import ClassifierConfig

LABEL = "label"
GROUP_DATE = "group_date"
_VECTOR = "feature_vector"
_MASKED = "masked_vector"

log = logging.getLogger(__name__)


def training_rows(features: DataFrame, images: DataFrame, verdicts: DataFrame) -> DataFrame:
    """Join what training needs: traceability, verdict, defects, features and the label (1 = fail).

    Only images with a verdict and with features have a row.
    """
    described = images.select(*s.TRACEABILITY, s.CAPTURE_DATE)
    judged = verdicts.where(F.col(s.VERDICT).isNotNull())
    joined = features.select(s.IMAGE_ID, s.FEATURES).join(described, s.IMAGE_ID)
    labelled = joined.join(judged.select(s.IMAGE_ID, s.VERDICT, s.DEFECTS), s.IMAGE_ID)
    return labelled.withColumn(LABEL, (F.col(s.VERDICT) == s.VERDICT_FAIL).cast("int"))


def with_group_date(rows: DataFrame, group: str) -> DataFrame:
    """Date each row by its group's last image, so that a group is never split by a fold's border.

    Parameters
    ----------
    group : ``board_id`` or ``lot``; rows without one are groups of their own.
    """
    key = F.coalesce(F.col(group), F.col(s.IMAGE_ID))
    last = F.max(s.CAPTURE_DATE).over(Window.partitionBy(key))
    return rows.withColumn(GROUP_DATE, last)


def fit(rows: DataFrame, config: ClassifierConfig, *, seed: int) -> LightGBMClassificationModel:
    """Fit on ``features`` and ``label``; the same rows and seed give the same trees.

    Rows are put in the order of a hash: LightGBM takes bin boundaries from the first rows of its
    sample, and rows in the order of time would show it the oldest days only.

    With ``keep_features`` a second fit sees 0 in place of every other feature. LightGBM passes
    over features that have one value only, so the trees read the kept ones at their places in the
    whole vector, and whatever serves them needs no list of what was kept.

    Raises
    ------
    TrainingError : fewer than two classes.
    """
    check_classes(rows, "the training rows")
    slots = session.task_slots(rows.sparkSession)
    # LightGBM's workers wait for one another: more of them than run at once would wait for ever.
    tasks = min(config.num_tasks or slots, slots)
    shuffled = F.xxhash64(s.IMAGE_ID, F.lit(seed))
    vectors = rows.select(s.IMAGE_ID, LABEL, array_to_vector(F.col(s.FEATURES)).alias(_VECTOR))
    ordered = vectors.repartition(tasks, s.IMAGE_ID).sortWithinPartitions(shuffled)
    estimator = _estimator(config, seed=seed, tasks=tasks)
    if not config.keep_features:
        return estimator.fit(ordered)
    first = estimator.fit(ordered)
    kept = trees.most_important(first.getNativeModel(), config.keep_features)
    return estimator.fit(_only(ordered, kept)) if kept.any() else first


def _estimator(config: ClassifierConfig, *, seed: int, tasks: int) -> LightGBMClassifier:
    from synapse.ml.lightgbm import LightGBMClassifier

    return LightGBMClassifier(
        featuresCol=_VECTOR,
        labelCol=LABEL,
        objective="binary",
        numIterations=config.num_iterations,
        learningRate=config.learning_rate,
        numLeaves=config.num_leaves,
        minDataInLeaf=config.min_data_in_leaf,
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


def predict(model: LightGBMClassificationModel, rows: DataFrame) -> DataFrame:
    """Add ``probability`` of ``fail``, 0..1."""
    vectors = rows.withColumn(_VECTOR, array_to_vector(F.col(s.FEATURES)))
    scored: DataFrame = model.transform(vectors)
    fail = vector_to_array(F.col(model.getProbabilityCol()))[1]
    return scored.select(*rows.columns, fail.alias(s.PROBABILITY))


def out_of_fold(
    rows: DataFrame, folds: Sequence[Fold], config: ClassifierConfig, *, seed: int
) -> DataFrame:
    """Score every fold by a classifier that saw only what came before it.

    Parameters
    ----------
    rows : answer of ``with_group_date``.

    Returns
    -------
    The rows of all test windows with ``fold`` and ``probability``, without their features.
    """
    kept = [name for name in rows.columns if name not in (s.FEATURES, LABEL, GROUP_DATE)]
    parts = []
    for fold in folds:
        train = rows.where(F.col(GROUP_DATE) < F.lit(fold.train_before))
        test = rows.where(F.col(GROUP_DATE).between(fold.test_from, fold.test_until))
        check_classes(train, window_name(fold))
        model = fit(train, config, seed=seed)
        scored = predict(model, test).select(*kept, s.PROBABILITY)
        parts.append(scored.withColumn(s.FOLD, F.lit(fold.index)).localCheckpoint())
        log.info("fold %d judged, test from %s", fold.index, fold.test_from)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return whole


def check_classes(rows: DataFrame, where: str) -> None:
    """Stop before LightGBM hangs on rows of one class.

    Raises
    ------
    TrainingError : there is no ``pass`` or no ``fail`` among ``rows``.
    """
    fails, total = rows.agg(F.sum(LABEL), F.count(LABEL)).first() or (0, 0)
    refuse_one_class(fails or 0, total, where)


def window_name(fold: Fold) -> str:
    """Name what a fold trains on, for errors."""
    return f"the training window of fold {fold.index} (before {fold.train_before})"


def refuse_one_class(fails: int, total: int, where: str) -> None:
    """Stop where ``fails`` of ``total`` rows leave nothing to tell apart.

    Raises
    ------
    TrainingError : none of the rows fails, or all do.
    """
    if total and 0 < fails < total:
        return
    what = f"{where} hold one class only" if total else f"{where} are empty"
    raise TrainingError(
        what,
        expected="images of both verdicts, pass and fail",
        got=f"{fails} fail among {total} images with verdict and features",
        hint="wait for more verdicts, use fewer folds (folds.n) or a longer first window "
        "(folds.first_fraction)",
    )
