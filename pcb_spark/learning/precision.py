"""Whether int8 features serve as well as float32 ones: both are judged on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.lake.scopes import PRECISION, Scope
from pcb_spark.learning import metrics
from pcb_spark.learning.bootstrap import bootstrap_by_group, percentile_interval
from pcb_spark.learning.rates import cleared
from pcb_spark.learning.thresholds import choose_thresholds

if TYPE_CHECKING:
    from pcb_spark.learning.bootstrap import Resampling
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.promise import Promise


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
        """Return rows of the scope ``precision``, of fp32 and of int8."""
        gain = (self.cleared_gain_lower, self.cleared_gain_upper)
        rows = [
            (names.FP32, "roc_auc", self.auc_fp32, None, None),
            (names.INT8, "roc_auc", self.auc_int8, None, None),
            (names.FP32, "review_reduction", self.cleared_fp32, None, None),
            (names.INT8, "review_reduction", self.cleared_int8, None, None),
            (names.INT8, "review_reduction_gain", self.cleared_int8 - self.cleared_fp32, *gain),
        ]
        return [
            metrics.Metric(Scope(PRECISION, kind), name, value, lower, upper, self.images)
            for kind, name, value, lower, upper in rows
        ]


def compare(fp32: Judged, int8: Judged, promise: Promise, drawn: Resampling) -> Comparison:
    """Compare two sets of out-of-fold scores of the same images.

    Thresholds are those that ``promise`` allows on the scores themselves. A fold with one class
    only counts for nothing.

    Raises
    ------
    TrainingError : they aren't the same images in the same order.
    """
    if fp32.image_id.tolist() != int8.image_id.tolist():
        raise TrainingError(
            "fp32 and int8 scores are not of the same images",
            expected=f"the {len(int8)} images that int8 features were judged on",
            got=f"{len(fp32)} images, in the order of image_id",
            hint="run the featurize job again",
        )
    passed = [cleared(choose_thresholds(each, promise).on(each)) for each in (fp32, int8)]
    gain = passed[1].astype(np.float64) - passed[0]
    draws = bootstrap_by_group(
        lambda weights: (weights @ gain / weights.sum(axis=1))[:, np.newaxis],
        int8.board_id,
        resamples=drawn.resamples,
        seed=drawn.seed,
    )
    lower, upper = percentile_interval(draws[:, 0], confidence=promise.confidence)
    return Comparison(
        images=len(int8),
        auc_fp32=_auc(fp32),
        auc_int8=_auc(int8),
        cleared_fp32=float(passed[0].mean()),
        cleared_int8=float(passed[1].mean()),
        cleared_gain_lower=lower,
        cleared_gain_upper=upper,
    )


def _auc(judged: Judged) -> float:
    """Mean over the folds that have both classes."""
    found = [metrics.roc_auc(judged[judged.fold == k]) for k in np.unique(judged.fold)]
    return float(np.mean([auc for auc in found if auc is not None]))
