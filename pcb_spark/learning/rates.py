"""Counting what a threshold did, and the bounds that counts allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcb_spark.core.policy import PASS, decide
from pcb_spark.learning.judged import known_verdicts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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

        Bounds are two-sided, but those of ``slip_rate`` hold ``confidence`` on each side, so that
        its upper one is the bound that the threshold was chosen by.
        """
        total, cleared = self.defects + self.good, self.slips + self.cleared_good
        two_sided = (1 + confidence) / 2
        return {
            "slip_rate": rate(self.slips, self.defects, confidence),
            "false_call_reduction": rate(self.cleared_good, self.good, two_sided),
            "review_reduction": rate(cleared, total, two_sided),
        }


def slip_upper_bound(
    slips: int, defects: int, *, confidence: float = 0.95, design_effect: float = 1.0
) -> float:
    """One-sided Clopper-Pearson upper bound, 0..1; 1.0 where all slipped, or there are none.

    With a ``design_effect`` above 1 both counts shrink by it: the effective sample size of Korn
    and Graubard (Survey Methodology 24, 1998).
    """
    if slips == defects:
        return 1.0
    # Imported here: the edge runtime shares decide() and installs no scipy. betaincinv is what
    # scipy.stats.beta.ppf calls, without the time that importing scipy.stats takes.
    from scipy.special import betaincinv

    slipped, held = slips / design_effect, (defects - slips) / design_effect
    return float(betaincinv(slipped + 1, held, confidence))


def rate(hits: int, n: int, side: float) -> Rate:
    """Give ``hits / n`` in its bounds, each of which holds with confidence ``side``."""
    lower = 1 - slip_upper_bound(n - hits, n, confidence=side)
    return Rate(hits / n if n else None, lower, slip_upper_bound(hits, n, confidence=side), n)


def count_outcome(is_fail: ArrayLike, probability: ArrayLike, threshold: ArrayLike) -> Outcome:
    """Count slips, defects, cleared good and good at a threshold, one or (n,)."""
    cleared = decide(probability, threshold) == PASS
    fails = known_verdicts(is_fail, len(cleared))
    return Outcome(
        slips=np.count_nonzero(cleared & fails),
        defects=np.count_nonzero(fails),
        cleared_good=np.count_nonzero(cleared & ~fails),
        good=np.count_nonzero(~fails),
    )


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Add outcomes up, each at a threshold of its own."""
    counts = [(0, 0, 0, 0), *((o.slips, o.defects, o.cleared_good, o.good) for o in outcomes)]
    slips, defects, cleared_good, good = (sum(column) for column in zip(*counts, strict=True))
    return Outcome(slips=slips, defects=defects, cleared_good=cleared_good, good=good)
