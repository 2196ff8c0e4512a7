"""How much lots differ in what they let slip, measured where there is enough to measure.

Slips are too few to tell. So the correlation within lots is measured at the defects' lowest tenth
of scores, and brought to any other share p by T(p) = phi(z)^2 / (p(1-p)), z being the normal
quantile of p: what a small correlation of normal scores comes to once they are cut at p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.policy import round_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LOWEST = 0.1
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSpread:
    """How much lots differ.

    Attributes
    ----------
    lots : that have a known defect.
    correlation : r at the defects' lowest tenth, 0..1.
    companions : m, how many others of its lot a known defect has on average.
    """

    lots: int
    correlation: float
    companions: float

    def correlation_at(self, share: float) -> float:
        """Correlation, 0..1, at the lowest ``share`` of scores, which lies between 0 and 1."""
        return min(1.0, self.correlation * _tail(share) / _tail(_LOWEST))


def lot_spread(scores: ArrayLike, lots: Sequence[str | None]) -> LotSpread:
    """Measure how much lots differ in their share of the defects' lowest tenth of scores.

    The correlation is the method of moments' (one-way analysis of variance), 0 where lots differ
    less than chance has it or hold one defect each, and 1 where ties leave no lowest tenth to tell.

    Parameters
    ----------
    scores : (n,) of the known defects, NaN where there is none; such a defect counts nowhere.
    lots : (n,) lot of each, None where it isn't known.
    """
    rounded = round_scores(scores)
    scored = ~np.isnan(rounded)
    names = np.array([lot or "" for lot in lots], dtype=np.str_)[scored]
    n = len(names)
    if not n:
        return LotSpread(lots=0, correlation=0.0, companions=0.0)
    _, codes = np.unique(names, return_inverse=True)
    sizes = np.bincount(codes)
    lowest = rounded[scored] < np.quantile(rounded[scored], _LOWEST)
    return LotSpread(
        lots=len(sizes),
        correlation=_correlation(lowest, codes, sizes),
        companions=float(sizes @ sizes) / n - 1,
    )


def _correlation(
    lowest: NDArray[np.bool_], codes: NDArray[np.intp], sizes: NDArray[np.intp]
) -> float:
    n, lots = len(codes), len(sizes)
    if lots == n:
        return 0.0
    if lots == 1 or not lowest.any():
        return 1.0
    shares = np.bincount(codes, lowest) / sizes
    between = float(sizes @ (shares - lowest.mean()) ** 2) / (lots - 1)
    within = float(sizes @ (shares * (1 - shares))) / (n - lots)
    typical = (n - float(sizes @ sizes) / n) / (lots - 1)
    return max(0.0, (between - within) / (between + (typical - 1) * within))


def _tail(share: float) -> float:
    """T(share)."""
    height = _NORMAL.pdf(_NORMAL.inv_cdf(share))
    return height * height / (share * (1 - share))
