"""Noticing in time that more slips than was promised.

Each true defect that is seen is a trial. Most are caught: their scores sent them to an operator. A
cleared one is seen with probability a, by a draw that takes no notice of its score. Where a share s
of all defects slips, a seen one is such an audited slip with probability q(s) = as / (as + 1 - s).

The test is an e-process: the mean, over slip rates 1.5, 2, 3, 5 and 10 times the promised one, of
the likelihood ratio to the promised one, multiplied up trial by trial. While the promise is kept it
ever reaches 20 in at most 5 % of histories, however often one looks (Ville, 1939; Ramdas et al.,
Statistical Science 38, 2023), so it is looked at every night.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pcb_spark.core.review import Shares

#: Slip rates that are held against the promised one, in multiples of it.
MULTIPLES: Final = (1.5, 2.0, 3.0, 5.0, 10.0)
#: The alarm: at most 1 in so many histories that keep the promise ever reaches it.
ALARM: Final = 20.0

_LOG_MOST = 700.0
_HISTORIES = 1_000
_FIRST_NIGHTS, _MOST_NIGHTS = 125, 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What the seen defects say of the promise.

    Attributes
    ----------
    defects, audited_slips : seen in all, and those of them that were cleared.
    e_value : the process's value by now; 1 says nothing either way.
    highest : the highest that it has ever had.
    """

    defects: int
    audited_slips: int
    e_value: float
    highest: float

    @property
    def raised(self) -> bool:
        """Whether more slips than was promised, with 95 % confidence."""
        return self.highest >= ALARM


def slip_alarm(audited_slip: ArrayLike, seen: ArrayLike, *, max_slip_rate: float) -> Alarm:
    """Test the promise on the seen defects, in the order of time.

    Parameters
    ----------
    audited_slip : (n,) whether the defect had been cleared.
    seen : (n,) probability that a slip would have been seen, 0..1; trials with 0 say nothing.
    max_slip_rate : what was promised, 0..1.
    """
    slipped, chance = np.asarray(audited_slip, dtype=bool), np.asarray(seen, dtype=np.float64)
    slipped, chance = slipped[chance > 0], chance[chance > 0]
    steps = np.where(slipped, *_log_ratios(chance, max_slip_rate))
    # What is far beyond an alarm need not be told apart, nor overflow.
    values = np.exp(np.minimum(_log_mean(np.cumsum(steps, axis=1)), _LOG_MOST))
    return Alarm(
        defects=len(slipped),
        audited_slips=int(slipped.sum()),
        e_value=float(values[-1]) if len(values) else 1.0,
        highest=float(values.max()) if len(values) else 1.0,
    )


def nights_to_notice(
    shares: Shares, *, max_slip_rate: float, multiple: float, defects: float, seed: int = 0
) -> tuple[float, float]:
    """Simulate how long a slip rate of ``multiple`` times the promised one goes unnoticed.

    Parameters
    ----------
    defects : true defects a night, slips among them.

    Returns
    -------
    Nights until half of 1,000 histories have raised the alarm, and nine tenths; infinity beyond
    4,000 nights.
    """
    if not shares.seen:
        return math.inf, math.inf
    rate, nights = min(1.0, multiple * max_slip_rate), _FIRST_NIGHTS
    while True:
        first = _first_alarms(shares.seen, max_slip_rate, rate, defects, nights, seed)
        half, most = np.quantile(first, (0.5, 0.9), method="higher")
        if math.isfinite(most) or nights >= _MOST_NIGHTS:
            return float(half), float(most)
        nights *= 2


def _first_alarms(
    seen: float, promised: float, rate: float, defects: float, nights: int, seed: int
) -> NDArray[np.float64]:
    """Night of the alarm in each history, infinity where so many nights raise none."""
    rng, size = np.random.default_rng(seed), (_HISTORIES, nights)
    slips = rng.poisson(defects * rate * seen, size)
    caught = rng.poisson(defects * (1 - rate), size)
    hit, miss = (each[:, 0] for each in _log_ratios(np.array([seen]), promised))
    logs = np.stack(
        [np.cumsum(slips * h + caught * m, axis=1) for h, m in zip(hit, miss, strict=True)]
    )
    raised = _log_mean(logs) >= math.log(ALARM)
    return np.where(raised.any(axis=1), raised.argmax(axis=1) + 1.0, math.inf)


def _log_ratios(
    seen: NDArray[np.float64], promised: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms (5, n) of the likelihood ratios of an audited slip, and of a caught defect."""
    # Ten times a high promise is no rate any more.
    rates = np.minimum(np.array(MULTIPLES) * promised, (1 + promised) / 2)[:, np.newaxis]
    worse, kept = (seen * s / (seen * s + 1 - s) for s in (rates, np.array([[promised]])))
    return np.log(worse / kept), np.log((1 - worse) / (1 - kept))


def _log_mean(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the mean over the first axis, of numbers that may be too large for floats."""
    highest = logs.max(axis=0)
    mean: NDArray[np.float64] = highest + np.log(np.exp(logs - highest).mean(axis=0))
    return mean
