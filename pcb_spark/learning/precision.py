"""Whether int8 features serve as well as float32 ones: both are judged on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import names, policy
from pcb_spark.learning import judged, metrics, thresholds
from pcb_spark.learning.bootstrap import bootstrap_by_group, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pcb_spark.learning.thresholds import Labels


#: How much AUC, mean of folds, int8 may cost.
MAX_AUC_LOSS = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What int8 costs on ``images`` images with out-of-fold scores of both.

    AUCs are means over the folds. ``cleared_*`` is the share of images cleared at the threshold
    that the policy chooses on the scores themselves; ``cleared_gain`` is int8's less fp32's, with
    the interval of whole boards drawn anew.
    """

    images: int
    auc_fp32: float
    auc_int8: float
    cleared_fp32: float
    cleared_int8: float
    cleared_gain_lower: float | None
    cleared_gain_upper: float | None

    @property
    def keeps_int8(self) -> bool:
        """AUC falls by no more than ``MAX_AUC_LOSS``, and no more images surely go to people.

        Without an interval a single image more is enough to tell.
        """
        enough = self.auc_fp32 - self.auc_int8 <= MAX_AUC_LOSS
        upper = self.cleared_gain_upper
        by_chance = upper is not None and upper >= 0
        return enough and (self.cleared_int8 >= self.cleared_fp32 or by_chance)

    @property
    def chosen(self) -> str:
        """``int8`` or ``fp32``."""
        return names.INT8 if self.keeps_int8 else names.FP32

    def as_metrics(self) -> list[metrics.Metric]:
        """Return rows of the scopes ``precision=fp32`` and ``precision=int8``."""
        gain = (self.cleared_gain_lower, self.cleared_gain_upper)
        rows = [
            (names.FP32, "roc_auc", self.auc_fp32, None, None),
            (names.INT8, "roc_auc", self.auc_int8, None, None),
            (names.FP32, "review_reduction", self.cleared_fp32, None, None),
            (names.INT8, "review_reduction", self.cleared_int8, None, None),
            (names.INT8, "review_reduction_gain", self.cleared_int8 - self.cleared_fp32, *gain),
        ]
        return [
            metrics.Metric(f"precision={kind}", name, value, lower, upper, self.images)
            for kind, name, value, lower, upper in rows
        ]


def compare(
    is_fail: ArrayLike,
    fp32: ArrayLike,
    int8: ArrayLike,
    *,
    fold: ArrayLike,
    board_id: Sequence[str],
    segments: Labels | None = None,
    correlated_boards: bool = False,
    max_slip_rate: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two sets of out-of-fold scores, each (n,), of the same images.

    A fold with one class only counts for nothing.

    Parameters
    ----------
    board_id : (n,), drawn anew as a whole for the interval.
    segments : (n,), those with thresholds of their own; see ``thresholds.choose_thresholds``.
    correlated_boards : whether the bound takes defects of one board as correlated.
    """
    fails = judged.known_verdicts(is_fail, len(np.asarray(fold)))
    labels = [None] * len(fails) if segments is None else segments

    def cleared_by(scores: ArrayLike) -> NDArray[np.bool_]:
        chosen = thresholds.choose_thresholds(
            fails,
            scores,
            labels,
            board_id=board_id if correlated_boards else None,
            max_slip_rate=max_slip_rate,
            confidence=confidence,
        )
        decisions: NDArray[np.bool_] = policy.decide(scores, chosen.values(labels)) == policy.PASS
        return decisions

    cleared = [cleared_by(scores) for scores in (fp32, int8)]
    gain = cleared[1].astype(np.float64) - cleared[0]
    draws = bootstrap_by_group(
        lambda weights: (weights @ gain / weights.sum(axis=1))[:, np.newaxis],
        board_id,
        resamples=resamples,
        seed=seed,
    )
    lower, upper = percentile_interval(draws[:, 0], confidence=confidence)
    return Comparison(
        images=len(fails),
        auc_fp32=_auc(fails, fp32, fold),
        auc_int8=_auc(fails, int8, fold),
        cleared_fp32=float(cleared[0].mean()),
        cleared_int8=float(cleared[1].mean()),
        cleared_gain_lower=lower,
        cleared_gain_upper=upper,
    )


def _auc(fails: NDArray[np.bool_], scores: ArrayLike, fold: ArrayLike) -> float:
    folds, values = np.asarray(fold), np.asarray(scores)
    found = [metrics.roc_auc(fails[folds == k], values[folds == k]) for k in np.unique(folds)]
    return float(np.mean([auc for auc in found if auc is not None]))
