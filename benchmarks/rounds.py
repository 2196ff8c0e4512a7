"""Rates out of pairs of runs, and whether these runs bear them out.

What a run costs once, whatever its size, drops out where a smaller run's seconds are taken off a
larger one's. It varies all the same, on Spark by some tenths of a second: a hundred images are done
in little more than that, and then any rate could come out, one above the limit too. So a rate is
told only where it hardly matters which of the smaller runs is taken off which of the larger ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import rows

UNTOLD: Final = "no rate: the images take too little time beside what runs of one size differ by"
ABOVE_LIMIT: Final = "above the limit, which can't be: as fast as it, within the spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Seconds of a smaller run and of a larger one, which has so many ``images`` more."""

    images: float
    small: float = 0.0
    large: float

    @property
    def rate(self) -> float:
        """Images a second; NaN where the clock says nothing."""
        return _rate(self.images, self.small, self.large)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Images a second, None where the rounds don't bear a rate out, and their spread."""

    rate: float | None
    spread: float | None

    @property
    def note(self) -> str:
        """Say why there is no rate."""
        return UNTOLD if self.rate is None else ""


def steady(rounds: Sequence[Round]) -> Steady:
    """Median of the rounds; their spread is that of every larger run beside every smaller one."""
    crossed = [_rate(r.images, other.small, r.large) for r in rounds for other in rounds]
    spread = rows.spread(crossed)
    # one run by itself tells its rate, one difference of two doesn't
    narrow = spread <= rows.MAX_SPREAD if spread is not None else not any(r.small for r in rounds)
    told = narrow and all(map(math.isfinite, crossed))
    return Steady(rate=rows.median(r.rate for r in rounds) if told else None, spread=spread)


def ratio(own: Sequence[Round], other: Sequence[Round]) -> float | None:
    """Median of the ratios round by round; None where either rate isn't told."""
    if steady(own).rate is None or steady(other).rate is None:
        return None
    return rows.ratios([r.rate for r in own], [r.rate for r in other])


def above(own: Sequence[Round], limit: Sequence[Round]) -> bool:
    """Say whether figures told of ``own`` exceed those of ``limit``."""
    share, rate, most = ratio(own, limit), steady(own).rate, steady(limit).rate
    return share is not None and (share > 1 or (rate or 0.0) > (most or 0.0))


def _rate(images: float, small: float, large: float) -> float:
    return images / (large - small) if large > small else math.nan
