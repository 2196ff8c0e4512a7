"""Fits the logistic regression that stands beside the trees, on the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.linear import Linear, roots
from pcb_spark.learning.examples import GROUP_DATE, LABEL
from pcb_spark.network import trees

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.learning.settings import TreeSettings

#: Strength of the data against the L2 penalty, of standardised features; as it measured best on
#: DeepPCB and on rendered boards.
_C: Final = 0.01
_ITERATIONS: Final = 300
#: Of more images so many are drawn by a hash: some ten to a weight, 130 MB.
MOST_IMAGES: Final = 20_000
_UNITS: Final = 1_000_000


def sample(rows: DataFrame, *, seed: int) -> pd.DataFrame:
    """Bring what is fitted on to the driver: label, features, and date and weight where given."""
    wanted = [name for name in (LABEL, GROUP_DATE, names.WEIGHT) if name in rows.columns]
    chosen = rows.select(names.IMAGE_ID, names.FEATURES, *wanted)
    fails, every = rows.agg(F.sum(LABEL), F.count("*")).first() or (0, 0)
    shares = _shares(fails or 0, every - (fails or 0))
    if min(shares) < 1:
        share = F.when(F.col(LABEL) == 1, shares[0]).otherwise(shares[1])
        unit = F.pmod(F.xxhash64(names.IMAGE_ID, F.lit(seed)), F.lit(_UNITS)) / _UNITS
        weight = F.col(names.WEIGHT) if names.WEIGHT in wanted else F.lit(1.0)
        chosen = chosen.where(unit < share).withColumn(names.WEIGHT, weight / share)
    found: pd.DataFrame = chosen.toPandas()
    return found.sort_values(names.IMAGE_ID, ignore_index=True)


def _shares(fails: int, good: int) -> tuple[float, float]:
    """How much of the defects and of the good images is drawn: both in equal numbers at most."""
    kept_fails = min(fails, max(MOST_IMAGES // 2, MOST_IMAGES - good))
    kept_good = min(good, MOST_IMAGES - kept_fails)
    return kept_fails / max(1, fails) if fails else 1.0, kept_good / max(1, good) if good else 1.0


def fit_sample(rows: pd.DataFrame, config: TreeSettings, classifier_text: str) -> Linear:
    """Fit on rows of ``sample``, beside the trees of that text."""
    weight = rows[names.WEIGHT].to_numpy() if names.WEIGHT in rows else None
    values = np.stack(rows[names.FEATURES].to_list()).astype(np.float32)
    return fit(values, rows[LABEL].to_numpy(dtype=bool), config, classifier_text, weight=weight)


def fit(
    features: NDArray[np.float32],
    is_fail: NDArray[np.bool_],
    config: TreeSettings,
    classifier_text: str,
    *,
    weight: NDArray[np.float64] | None = None,
) -> Linear:
    """Fit on features (n, F) and verdicts (n,), both of which occur.

    With ``keep_features`` it sees only those that the trees split on.

    Parameters
    ----------
    weight : (n,), how many images each stands for; None is one.
    """
    from sklearn.linear_model import LogisticRegression

    rooted = roots(features)
    center, spread = rooted.mean(axis=0), rooted.std(axis=0)
    most = rooted.max(axis=0)
    used = most > rooted.min(axis=0)
    if config.keep_features:
        used &= trees.most_important(classifier_text, config.keep_features)
    weights = np.zeros(features.shape[1])
    model = LogisticRegression(C=_C, max_iter=_ITERATIONS)
    if used.any() and 0 < is_fail.sum() < len(is_fail):
        standard = (rooted[:, used] - center[used]) / spread[used]
        model.fit(standard, is_fail, sample_weight=_weights(config, is_fail, weight))
        weights[used] = model.coef_[0] / spread[used]
        bias = float(model.intercept_[0] - weights @ center)
    else:
        # Nothing to tell by; half an image more of either keeps the odds finite.
        fails, good = is_fail.sum() + 0.5, (~is_fail).sum() + 0.5
        bias = float(np.log(fails / good))
    return Linear(
        weights=weights.astype(np.float32),
        bias=bias,
        center=center.astype(np.float32),
        most=most.astype(np.float32),
    )


def _weights(
    config: TreeSettings, is_fail: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Weigh images as LightGBM does (``is_unbalance``, ``scale_pos_weight``)."""
    own = np.ones(len(is_fail)) if weight is None else weight
    factor = config.scale_pos_weight
    if config.is_unbalance:
        factor = own[~is_fail].sum() / own[is_fail].sum()
    return np.where(is_fail, own * factor, own)
