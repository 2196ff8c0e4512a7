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

    def rates(self, *, confidence: float = 0.95) -> dict[str, Rate]:
        """Give ``slip_rate``, ``false_call_reduction`` and ``review_reduction``.

        Bounds are two-sided, but those of ``slip_rate`` hold ``confidence`` on each side: its upper
        one is read by itself.
        """
        total, cleared = self.defects + self.good, self.slips + self.cleared_good
        two_sided = (1 + confidence) / 2
        return {
            "slip_rate": rate(self.slips, self.defects, confidence),
            "false_call_reduction": rate(self.cleared_good, self.good, two_sided),
            "review_reduction": rate(cleared, total, two_sided),
        }


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
