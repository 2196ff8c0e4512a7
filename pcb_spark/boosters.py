"""LightGBM's own Python package, for rows that lie on the driver anyway.

It is the algorithm of ``classifier``, without Spark around it: a fit of some thousand rows takes a
third of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pcb_spark import classifier, trees
from pcb_spark import schemas as s

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from pcb_spark.folds import Fold
    from pcb_spark.sections import ClassifierConfig


def fit(
    features: NDArray[np.float32],
    is_fail: NDArray[np.bool_],
    config: ClassifierConfig,
    *,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """Fit on (n, F) and (n,) as ``classifier.fit`` does, which see for ``keep_features``."""
    import lightgbm

    parameters = {
        **config.model_dump(exclude={"num_tasks", "keep_features"}),
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }

    def fitted(values: NDArray[np.float32]) -> lightgbm.Booster:
        return lightgbm.train(parameters, lightgbm.Dataset(values, is_fail, params=parameters))

    first = fitted(features)
    if not config.keep_features:
        return first
    kept = trees.most_important(first.model_to_string(), config.keep_features)
    return fitted(np.where(kept, features, np.float32(0))) if kept.any() else first


def out_of_fold(
    rows: pd.DataFrame,
    folds: Sequence[Fold],
    config: ClassifierConfig,
    *,
    seed: int,
    threads: int,
) -> pd.DataFrame:
    """Score every fold by a booster that saw only what came before it.

    Parameters
    ----------
    rows : what ``classifier.with_group_date`` answers, in an order that doesn't change.

    Returns
    -------
    The rows of all test windows in their order, with ``fold`` and ``probability``, without their
    features.

    Raises
    ------
    TrainingError : a training window holds one class only.
    """
    values = np.stack(rows[s.FEATURES].to_list()).astype(np.float32)
    is_fail = rows[classifier.LABEL].to_numpy(dtype=bool)
    dates = rows[classifier.GROUP_DATE].to_numpy()
    described = rows.drop(columns=s.FEATURES)
    parts = []
    for fold in folds:
        train = dates < fold.train_before
        test = (dates >= fold.test_from) & (dates <= fold.test_until)
        classifier.refuse_one_class(
            int(is_fail[train].sum()), int(train.sum()), classifier.window_name(fold)
        )
        booster = fit(values[train], is_fail[train], config, seed=seed, threads=threads)
        scores = np.asarray(booster.predict(values[test], num_threads=threads))
        parts.append(described[test].assign(**{s.FOLD: fold.index, s.PROBABILITY: scores}))
    return pd.concat(parts).sort_index()
