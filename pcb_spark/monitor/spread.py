"""How far days lie apart by themselves: what a night has to exceed to be news.

A plant's days differ: other lots, other shifts, warmer lamps. So the unit is the day, not the
image: a night is held against the spread of the training window's days by a prediction interval of
Student's t (Hahn and Meeker, Statistical Intervals, 1991), which knows how few days there were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special, stats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Fewer days say nothing of how days differ.
LEAST_DAYS: Final = 5
#: Days have heavier tails than the normal distribution's, and a budget of few alarms a year asks
#: for the far tail: means are held against a Student's t of no more freedom.
_HEAVY_TAILS: Final = 6
#: Spread of the logarithm of a rate that no chance of few days may understate.
_LEAST_RATE_SPREAD: Final = 0.5
#: Spread of the logarithm of a distance that no chance of few days may understate.
_LEAST_LOG_SPREAD: Final = 0.2
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of a number over days (or lots), and of how many.

    Attributes
    ----------
    within : standard deviation of single images within a day; 0 where there are none.
    per_image : mean of 1/n over the days, n their images.
    freedom : degrees of freedom of ``sd``.
    """

    mean: float
    sd: float
    days: int
    freedom: int
    within: float = 0.0
    per_image: float = 0.0

    @classmethod
    def of(
        cls, values: ArrayLike, *, within: float = 0.0, counts: ArrayLike | None = None
    ) -> Spread | None:
        """Of one value a day, (n,); None where there are too few days."""
        days = np.asarray(values, dtype=np.float64)
        if len(days) < LEAST_DAYS:
            return None
        share = 0.0 if counts is None else float((1 / np.asarray(counts, dtype=np.float64)).mean())
        return cls(
            float(days.mean()), float(days.std(ddof=1)), len(days), len(days) - 1, within, share
        )

    @classmethod
    def of_logs(cls, distances: ArrayLike) -> Spread | None:
        """Of distances, which are positive and skew: of their logarithms."""
        logs = np.log(np.maximum(np.asarray(distances, dtype=np.float64), _TINY))
        found = cls.of(logs)
        if found is None:
            return None
        return cls(found.mean, max(found.sd, _LEAST_LOG_SPREAD), found.days, found.freedom)

    def t(self, value: float, n: int = 0) -> float:
        """Student's t of another day, of ``n`` images; fewer images than usual spread wider."""
        extra = self.within**2 * max(0.0, 1 / n - self.per_image) if n else 0.0
        scale = math.sqrt(self.sd**2 * (1 + 1 / self.days) + extra)
        gap = value - self.mean
        if scale <= _TINY * max(1.0, abs(self.mean)):
            # Days that never differed: what differs at all has no measure.
            return 0.0
        return gap / scale

    def p_either(self, value: float, n: int = 0) -> float:
        """How likely a day lies so far off, on either side, 0..1."""
        return 2 * _above(abs(self.t(value, n)), min(self.freedom, _HEAVY_TAILS))

    def p_above_log(self, distance: float) -> float:
        """How likely a distance is as large, 0..1."""
        return _above(self.t(math.log(max(distance, _TINY))), self.freedom)


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of the days of training, of how many images, and how much more than chance differs.

    Attributes
    ----------
    overdispersion : chi-square of the days over its degrees of freedom, 1 at least.
    by_day : of the logarithm of a day's rate.
    """

    events: int
    images: int
    overdispersion: float
    by_day: Spread

    @classmethod
    def of(cls, events: ArrayLike, images: ArrayLike) -> Counts | None:
        """Of the events and images of each day, (n,) both; None where there are too few days."""
        x, n = (np.asarray(each, dtype=np.float64) for each in (events, images))
        if len(n) < LEAST_DAYS or not n.sum():
            return None
        rate = (x.sum() + 0.5) / (n.sum() + 1)
        chi = float(((x - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
        logs = np.log((x + 0.5) / (n + 1))
        by_day = Spread(
            float(logs.mean()), max(float(logs.std(ddof=1)), _LEAST_RATE_SPREAD), len(n), len(n) - 1
        )
        return cls(int(x.sum()), int(n.sum()), max(1.0, chi / (len(n) - 1)), by_day)

    def p_above(self, events: int, images: int) -> float:
        """How likely as many events are among so many images, 0..1.

        Both by the beta-binomial, which knows how few they are, and by how days differ.
        """
        if not images or not events:
            return 1.0
        known = self.images / self.overdispersion
        rate = (self.events + 0.5) / (self.images + 1)
        a, b = known * rate + 0.5, known * (1 - rate) + 0.5
        rare = float(stats.betabinom.sf(events - 1, images, a, b))
        far = self.by_day.t(math.log((events + 0.5) / (images + 1)))
        return max(rare, _above(far, self.by_day.freedom))


def _above(t: float, freedom: int) -> float:
    """Chance of a larger Student's t: what ``stats.t.sf`` gives, a hundred times as fast."""
    return float(special.stdtr(freedom, -t))


def grid(values: NDArray[np.float64], points: int = 51) -> NDArray[np.float64]:
    """Quantiles of values, (up to ``points``,), each once."""
    found: NDArray[np.float64] = np.unique(np.quantile(values, np.linspace(0, 1, points)))
    return found


def cumulated(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of values that are no larger than each point, (n,)."""
    below = np.searchsorted(np.sort(values), at, side="right").astype(np.float64)
    share: NDArray[np.float64] = below / max(1, len(values))
    return share


def ks(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Kolmogorov and Smirnov's distance of two cumulated distributions over the same points."""
    return float(np.abs(one - other).max())


def psi(one: NDArray[np.float64], other: NDArray[np.float64], images: int) -> float:
    """Population stability index of ten bins, of two cumulated distributions; 0 is none.

    Parameters
    ----------
    images : of which ``one`` is; half an image is added to each bin, so that empty ones count.
    """
    every = max(1, round((len(other) - 1) / 10))
    shares = [np.diff(np.append(each[every:-1:every], 1.0), prepend=0.0) for each in (one, other)]
    bins = len(shares[0])
    p, q = ((each * images + 0.5) / (images + 0.5 * bins) for each in shares)
    return float(((p - q) * np.log(p / q)).sum())
