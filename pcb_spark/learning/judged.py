"""Verdicts, scores and thresholds of images, checked once and then travelling together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcb_spark.core.errors import TrainingError
from pcb_spark.core.policy import round_scores

if TYPE_CHECKING:
    from pcb_spark.learning.bootstrap import Floats

Rows: TypeAlias = NDArray[np.intp]
Verdicts: TypeAlias = NDArray[np.bool_]
Labels: TypeAlias = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict, score (NaN where unscorable) and threshold of n images."""

    is_fail: Verdicts
    score: Floats
    threshold: Floats

    def __getitem__(self, rows: Rows) -> Judged:
        return Judged(self.is_fail[rows], self.score[rows], self.threshold[rows])


def judge(is_fail: ArrayLike, probability: ArrayLike, threshold: ArrayLike = 0.0) -> Judged:
    """Check the inputs; ranking keeps the scores in float64, only decisions round them."""
    scores = np.where(np.isnan(round_scores(probability)), np.nan, probability).astype(np.float64)
    thresholds = np.full(scores.shape, threshold, dtype=np.float64)
    return Judged(known_verdicts(is_fail, len(scores)), scores, thresholds)


def known_verdicts(is_fail: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Verdicts as (n,) bool; refuses nulls, since what no operator has seen is never ``pass``.

    Raises
    ------
    TrainingError : another length than ``n``, or a value other than true or false.
    """
    verdicts = np.asarray(is_fail)
    known = verdicts.dtype.kind in "biuf" and bool(np.isin(verdicts, (0, 1)).all())
    if verdicts.shape != (n,) or not known:
        raise TrainingError(
            "the verdicts don't fit the scores",
            expected=f"true or false for each of {n} images",
            got=f"{verdicts.dtype} of shape {verdicts.shape}, nulls included",
            hint="leave out images that no operator has verified",
        )
    return verdicts.astype(bool)
