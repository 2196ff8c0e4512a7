"""Whether a score of 0.3 means that three in ten fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.lake.scopes import OVERALL, RELIABILITY, Scope
from pcb_spark.learning.metrics import Metric, rows_by_label
from pcb_spark.learning.rates import rate

if TYPE_CHECKING:
    from pcb_spark.learning.judged import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Images that score in [lower, upper): the mean score against the share that failed."""

    lower: float
    upper: float
    n: int
    mean_probability: float
    fail_share: float


def reliability_bins(judged: Judged, *, bins: int = 10) -> list[ReliabilityBin]:
    """Reliability diagram: ``bins`` of equal width, empty ones left out; the last includes 1."""
    known = judged[~np.isnan(judged.score)]
    codes = np.minimum((known.score * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            lower=code / bins,
            upper=(code + 1) / bins,
            n=len(rows),
            mean_probability=float(np.average(known.score[rows], weights=known.weight[rows])),
            fail_share=float(np.average(known.is_fail[rows], weights=known.weight[rows])),
        )
        for code, rows in rows_by_label([code] for code in codes.tolist()).items()
    ]


def evaluate_calibration(judged: Judged, *, confidence: float = 0.95) -> list[Metric]:
    """Say whether scores are probabilities: for each bin of scores, and overall.

    ``calibration_error`` is the mean distance of score and share of fails over the bins, weighed by
    their images (ECE; Naeini et al., AAAI 2015); 0 is best.
    """
    bins = reliability_bins(judged)
    n = sum(each.n for each in bins)
    metrics = []
    for each in bins:
        scope = Scope(RELIABILITY, f"{each.lower:.1f}-{each.upper:.1f}")
        share = rate(round(each.fail_share * each.n), each.n, (1 + confidence) / 2)
        metrics += [
            Metric(scope, "fail_share", *share),
            Metric(scope, "mean_probability", each.mean_probability, None, None, each.n),
        ]
    gaps = [each.n * abs(each.fail_share - each.mean_probability) for each in bins]
    error = sum(gaps) / n if n else None
    return [*metrics, Metric(OVERALL, "calibration_error", error, None, None, n)]
