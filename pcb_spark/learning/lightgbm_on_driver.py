"""LightGBM's own Python package, for rows that lie on the driver anyway.

It is the algorithm of ``lightgbm_on_spark``, without Spark around it: a fit of some thousand rows
takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from pcb_spark.core import linear, names
from pcb_spark.learning import examples, logistic_regression
from pcb_spark.network import trees

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from pcb_spark.learning.folds import Fold
    from pcb_spark.learning.settings import TreeSettings

    Rows = NDArray[np.intp]


#: Parameters that aren't LightGBM's.
_OWN: Final = {"num_tasks", "keep_features", "linear", "image", "image_width"}


def fit(
    features: NDArray[np.float32],
    is_fail: NDArray[np.bool_],
    config: TreeSettings,
    *,
    weight: NDArray[np.float64] | None = None,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """Fit on (n, F) and (n,) as ``lightgbm_on_spark.fit`` does, which see for ``keep_features``.

    ``weight`` (n,) says how many images each stands for; None is one.
    """
    import lightgbm

    if weight is not None and (weight == 1).all():
        weight = None
    parameters = {
        **config.model_dump(exclude=_OWN),
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }

    def fitted(values: NDArray[np.float32]) -> lightgbm.Booster:
        data = lightgbm.Dataset(values, is_fail, weight=weight, params=parameters)
        return lightgbm.train(parameters, data)

    first = fitted(features)
    if not config.keep_features:
        return first
    kept = trees.most_important(first.model_to_string(), config.keep_features)
    return fitted(np.where(kept, features, np.float32(0))) if kept.any() else first


def predict_forward(
    features: NDArray[np.float32],
    is_fail: NDArray[np.bool_],
    windows: Sequence[tuple[Rows, Rows]],
    config: TreeSettings,
    *,
    weight: NDArray[np.float64] | None = None,
    seed: int,
    threads: int,
) -> list[NDArray[np.float64]]:
    """Fit on the first rows of each window and give the probability of ``fail`` of its second ones.

    Windows go side by side, each in its share of ``threads``: LightGBM's threads wait for one
    another without sleeping, which costs many times the fit where a processor has other work.
    """
    workers = max(1, min(len(windows), threads))
    share = threads // workers

    def judged(window: tuple[Rows, Rows]) -> NDArray[np.float64]:
        def log_odds(values: NDArray[np.float32], settings: TreeSettings) -> NDArray[np.float64]:
            return _log_odds(
                values, is_fail, window, settings, weight=weight, seed=seed, threads=share
            )

        if config.image is None:
            return linear.probability(log_odds(features, config))
        start = features.shape[1] - config.image_width
        of_image = log_odds(features[:, start:], config.image)
        return linear.probability(log_odds(features[:, :start], config.compared), of_image)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(judged, windows))


def _log_odds(
    features: NDArray[np.float32],
    is_fail: NDArray[np.bool_],
    window: tuple[Rows, Rows],
    config: TreeSettings,
    *,
    weight: NDArray[np.float64] | None,
    seed: int,
    threads: int,
) -> NDArray[np.float64]:
    """Mean log-odds of trees and line, fitted on the first rows of a window, of its second ones."""
    train, test = window
    weighed = None if weight is None else weight[train]
    seen, fails = features[train], is_fail[train]
    booster = fit(seen, fails, config, weight=weighed, seed=seed, threads=threads)
    odds = np.asarray(
        booster.predict(features[test], raw_score=True, num_threads=threads), dtype=np.float64
    )
    if not config.linear:
        return odds
    text = booster.model_to_string()
    fitted = logistic_regression.fit(seen, fails, config, text, weight=weighed)
    return linear.mean(odds, fitted.log_odds(features[test]))


def out_of_fold(
    rows: pd.DataFrame,
    folds: Sequence[Fold],
    config: TreeSettings,
    *,
    seed: int,
    threads: int,
) -> pd.DataFrame:
    """Score every fold by a booster that saw only what came before it.

    Parameters
    ----------
    rows : what ``examples.with_group_date`` answers, in an order that doesn't change.

    Returns
    -------
    The rows of all test windows in their order, with ``fold`` and ``probability``, without their
    features.

    Raises
    ------
    TrainingError : a training window holds one class only.
    """
    values = np.stack(rows[names.FEATURES].to_list()).astype(np.float32)
    is_fail = rows[examples.LABEL].to_numpy(dtype=bool)
    windows = row_numbers(rows[examples.GROUP_DATE].to_numpy(), folds)
    for fold, (train, _) in zip(folds, windows, strict=True):
        fails = int(is_fail[train].sum())
        examples.refuse_one_class(fails, len(train), examples.window_name(fold))
    weight = rows[names.WEIGHT].to_numpy() if names.WEIGHT in rows else None
    scores = predict_forward(
        values, is_fail, windows, config, weight=weight, seed=seed, threads=threads
    )
    described = rows.drop(columns=names.FEATURES)
    parts = [
        described.iloc[test].assign(**{names.FOLD: fold.index, names.PROBABILITY: found})
        for fold, (_, test), found in zip(folds, windows, scores, strict=True)
    ]
    return pd.concat(parts).sort_index()


def row_numbers(group_dates: NDArray[np.object_], folds: Sequence[Fold]) -> list[tuple[Rows, Rows]]:
    """Give the rows that each fold trains on, and those that it is tested on."""
    return [
        (
            np.flatnonzero(group_dates < fold.train_before),
            np.flatnonzero((group_dates >= fold.test_from) & (group_dates <= fold.test_until)),
        )
        for fold in folds
    ]
