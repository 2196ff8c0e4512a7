"""Which threshold keeps a promise of the next defects.

A promise reads "of the next h defects at most c slip, with this confidence". It is kept by the
(k+1)-th lowest of n known defects' scores as threshold, for the largest k that leaves
P(X > c) <= 1 - confidence, X being how many of the next h score below it.

**Next** takes the next defects to resemble the known ones, so that all n + h scores come in any
order with the same probability. X > c says that the (c+1)-th lowest new score lies below the
(k+1)-th lowest known one; that is, that more than c of the k + c + 1 lowest scores of all are new.
So X is BetaBinomial(h; k+1, n-k), whatever the scores' distribution (Gumbel and von Schelling,
Ann. Math. Stat. 21, 1950), and for k = 0 the probability is C(h, c+1) / C(h+n, c+1). Ties make
fewer slip, since what scores as the threshold does goes to an operator. Nothing more is due for
having looked at the scores: k depends on n alone.

**Lot** lets lots differ. The share below the threshold has mean p = (k+1)/(n+1) and variance
p(1-p)/(n+2), that of the Beta above. Defects of one lot share their luck with a correlation r,
which ``lot_spread`` measures; it widens the variance to p(1-p)(r + (1 + r m)/(n+2)): by the luck of
lots to come, and because known defects tell less than their number says, each having m others of
its lot beside it on average (Kish, 1965).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.policy import round_scores
from pcb_spark.learning.lot_spread import LotSpread, lot_spread
from pcb_spark.learning.promise import NextDefects, Promise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A threshold and what it promises.

    Attributes
    ----------
    value : scores below it are cleared; exactly a float32; 0.0 clears nothing.
    rank : it is the rank-th lowest of the defects' scores; 0 where nothing may be cleared.
    defects, needed : known defects that have a score, and the fewest that clear anything.
    risk : probability that the promise is broken; where nothing is cleared, that it would be if
        the lowest score were the threshold.
    spread : of the lots; None where the rule takes no notice of them.
    """

    promise: NextDefects
    value: float
    rank: int
    defects: int
    needed: int
    risk: float
    spread: LotSpread | None = None

    def sentence(self, first: date | None = None, last: date | None = None) -> str:
        """Say what is promised, or what is missing.

        ``first`` and ``last`` are the days of the first and the last known defect.
        """
        return _sentence(self, first, last)


def choose_next(scores: ArrayLike, *, max_slip_rate: float, confidence: float = 0.95) -> Choice:
    """Choose by the rule "next" from the known defects' scores (n,), NaN where there is none.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    """
    promise = Promise(max_slip_rate=max_slip_rate, confidence=confidence)
    return _choose(scores, promise.next_defects, None)


def choose_lot(
    scores: ArrayLike,
    lots: Sequence[str | None],
    *,
    max_slip_rate: float,
    confidence: float = 0.95,
) -> Choice:
    """Choose by the rule "lot"; ``lots`` (n,) name each defect's lot, None where it isn't known.

    Defects of unknown lots count as one lot: nothing shows that they come from several.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    """
    promise = Promise(max_slip_rate=max_slip_rate, confidence=confidence, bound="lot")
    return _choose(scores, promise.next_defects, lot_spread(scores, lots))


def _choose(scores: ArrayLike, promise: NextDefects, spread: LotSpread | None) -> Choice:
    rounded = round_scores(scores)
    ranked = np.sort(rounded[~np.isnan(rounded)])
    defects = len(ranked)
    rank = allowed_rank(promise, defects, spread)
    return Choice(
        promise=promise,
        value=float(ranked[rank - 1]) if rank else 0.0,
        rank=rank,
        defects=defects,
        needed=defects_needed(promise, spread),
        risk=risk(promise, max(rank, 1), defects, spread),
        spread=spread,
    )


def allowed_rank(promise: NextDefects, defects: int, spread: LotSpread | None = None) -> int:
    """Which of ``defects`` sorted scores may be the threshold: the highest rank; 0 for none."""
    if spread is not None and spread.lots < 2:
        return 0
    rank = 0
    while rank < defects and risk(promise, rank + 1, defects, spread) <= 1 - promise.confidence:
        rank += 1
    return rank


def ranks_by_slips(
    promise: NextDefects, defects: int, most: int, spread: LotSpread | None = None
) -> list[int]:
    """``allowed_rank`` if 0, 1, 2 and more of the next defects might slip.

    It ends with the first that is ``most`` or higher, or where all of them might slip but one.
    """
    ranks: list[int] = []
    for slips in range(promise.defects):
        ranks.append(allowed_rank(replace(promise, slips=slips), defects, spread))
        if ranks[-1] >= most:
            break
    return ranks


def defects_needed(promise: NextDefects, spread: LotSpread | None = None) -> int:
    """Fewest known defects of which the lowest score may be the threshold.

    With a ``spread`` these are defects in lots as large and as different as the known ones.
    """

    def enough(defects: int) -> bool:
        return risk(promise, 1, defects, spread) <= 1 - promise.confidence

    # Nobody has 10**12 defects.
    return bisect_left(range(10**12), True, key=enough)


def risk(promise: NextDefects, rank: int, defects: int, spread: LotSpread | None = None) -> float:
    """Probability that the promise is broken with the ``rank``-th lowest score as threshold.

    The more lots differ, the rarer and the worse are bad ones, and beyond some point a promise
    about few defects is broken less often for it. Nobody should profit from that: the risk is the
    highest of those for the correlation found, its half, its quarter, its eighth, and for none.
    """
    if not defects:
        return 1.0
    mean = rank / (defects + 1)
    plain = exceedance(promise, rank, defects + 1 - rank)
    if spread is None or not spread.correlation:
        return plain
    found = spread.correlation_at(mean)
    return max(
        plain,
        *(
            _lot_risk(promise, mean, found / part, defects, spread.companions)
            for part in (1, 2, 4, 8)
        ),
    )


def _lot_risk(
    promise: NextDefects, mean: float, correlation: float, defects: int, companions: float
) -> float:
    width = correlation + (1 + correlation * companions) / (defects + 2)
    if width >= 1:
        # Wider than any share is: all of the next defects slip, or none.
        return mean
    weight = 1 / width - 1
    return exceedance(promise, mean * weight, (1 - mean) * weight)


def exceedance(promise: NextDefects, below: float, above: float) -> float:
    """P(X > slips) for X ~ BetaBinomial(defects; below, above), both above 0.

    Summed from P(X = 0) upward by the ratio of neighbours, which is right to 1e-9 up to a million
    defects; scipy.stats.betabinom gives the same and takes a second to import.
    """
    h = promise.defects
    none = math.lgamma(above + h) - math.lgamma(above)
    none -= math.lgamma(below + above + h) - math.lgamma(below + above)
    probability = within = math.exp(none)
    for slips in range(min(promise.slips, h)):
        probability *= (h - slips) * (below + slips) / ((slips + 1) * (above + h - slips - 1))
        within += probability
    return max(0.0, 1 - within)


def _sentence(choice: Choice, first: date | None, last: date | None) -> str:
    promise, spread = choice.promise, choice.spread
    if spread is not None and spread.lots < 2:
        return (
            "clears nothing yet: verified defects of two lots are needed, "
            f"those of {spread.lots} are there"
        )
    if not choice.rank:
        return (
            f"clears nothing yet: {choice.needed:,} verified defects are needed, "
            f"{choice.defects:,} are there"
        )
    alike = "they" if spread is None else "they and their lots"
    known = f"the {choice.defects:,} defects"
    if first is not None and last is not None:
        known += f" of {_period(first, last)}"
    return (
        f"Of the next {promise.defects:,} defects at most {promise.slips} slip "
        f"({100 * promise.confidence:g} % confidence), if {alike} resemble {known}."
    )


def _period(first: date, last: date) -> str:
    """Name the days, with years only where they differ."""
    years = first.year != last.year
    names = [
        f"{day.day} {_MONTHS[day.month - 1]}" + (f" {day.year}" if years else "")
        for day in (first, last)
    ]
    return names[0] if first == last else " to ".join(names)
