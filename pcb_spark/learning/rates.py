"""Counting what a threshold did, and the bounds that counts allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcb_spark.core.policy import PASS, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.learning.judged import Judged


class Rate(NamedTuple):
    """A share of ``n`` images, 0..1, in its Clopper-Pearson bounds; value None where n is 0."""

    value: float | None
    lower: float
    upper: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a threshold did to images whose verdict is known."""

    slips: int
    defects: int
    cleared_good: int
    good: int


def slip_upper_bound(slips: int, defects: int, *, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson upper bound, 0..1; 1.0 where all slipped, or there are none.

    It bounds the mean rate that the defects came from (Clopper and Pearson, Biometrika 26, 1934),
    which is no promise of the next ones.
    """
    if slips == defects:
        return 1.0
    # betaincinv is what scipy.stats.beta.ppf calls, without the time that importing scipy.stats
    # takes; imported here, since most that read this module compute no bound.
    from scipy.special import betaincinv

    return float(betaincinv(slips + 1, defects - slips, confidence))


def rate(hits: int, n: int, side: float) -> Rate:
    """Give ``hits / n`` in its bounds, each of which holds with confidence ``side``."""
    misses, upper = (slip_upper_bound(count, n, confidence=side) for count in (n - hits, hits))
    return Rate(hits / n if n else None, 1 - misses, upper, n)


def weighed_rate(
    hit: NDArray[np.bool_], weight: NDArray[np.float64], side: float, *, heaviest: float
) -> Rate:
    """Give the share of ``weight`` (n,) that is ``hit`` (n,), in bounds as those of ``rate``.

    Where weights differ, bounds are the gamma ones of a weighed count of hits (Fay and Feuer,
    Stat. Med. 16, 1997) beside the weight that missed. The effective number of images, (sum w)^2 /
    sum w^2, won't do: where no image that stands for many was hit by chance, it sees none of them.

    Parameters
    ----------
    heaviest : the largest weight that a hit may have; a miss may weigh 1.
    """
    if heaviest == 1:
        return rate(np.count_nonzero(hit), len(hit), side)
    if not len(weight):
        return Rate(None, 0.0, 1.0, 0)
    own, others = weight[hit], weight[~hit]
    hits, misses = float(own.sum()), float(others.sum())
    lower = _gamma(hits, float(own @ own), 1 - side) if hits else 0.0
    more_misses = _gamma(misses + 1, float(others @ others) + 1, side)
    upper = _gamma(hits + heaviest, float(own @ own) + heaviest**2, side)
    return Rate(
        hits / (hits + misses), lower / (lower + more_misses), upper / (upper + misses), len(weight)
    )


def _gamma(mean: float, variance: float, quantile: float) -> float:
    from scipy.special import gammaincinv

    scale = variance / mean
    return scale * float(gammaincinv(mean / scale, quantile))


def decision_rates(judged: Judged, *, confidence: float = 0.95) -> dict[str, Rate]:
    """Give ``slip_rate``, ``false_call_reduction`` and ``review_reduction``, each image weighed.

    Bounds are two-sided, but those of ``slip_rate`` hold ``confidence`` on each side: its upper one
    is read by itself.
    """
    passed, two_sided = cleared(judged), (1 + confidence) / 2

    def among(rows: NDArray[np.bool_], side: float) -> Rate:
        return weighed_rate(passed[rows], judged.weight[rows], side, heaviest=judged.heaviest)

    return {
        "slip_rate": among(judged.is_fail, confidence),
        "false_call_reduction": among(~judged.is_fail, two_sided),
        "review_reduction": among(np.ones(len(judged), dtype=bool), two_sided),
    }


def cleared(judged: Judged) -> NDArray[np.bool_]:
    """Which images (n,) the rule clears at their thresholds."""
    passed: NDArray[np.bool_] = decide(judged.score, judged.threshold) == PASS
    return passed


def count_outcome(judged: Judged) -> Outcome:
    """Count slips, defects, cleared good and good images at their thresholds."""
    passed = cleared(judged)
    return Outcome(
        slips=np.count_nonzero(passed & judged.is_fail),
        defects=np.count_nonzero(judged.is_fail),
        cleared_good=np.count_nonzero(passed & ~judged.is_fail),
        good=np.count_nonzero(~judged.is_fail),
    )
