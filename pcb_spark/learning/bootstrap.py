"""Intervals by drawing whole groups anew: what belongs together is drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
#: (k, n) image weights, whole numbers, to (k, m) values, NaN where undefined.
Statistic: TypeAlias = Callable[[Floats], Floats]
Interval: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How often groups are drawn anew, 0 for never, and the seed of the draws."""

    resamples: int
    seed: int


#: Image weights held at once: 8 MiB each for a handful of arrays.
_CELLS = 1_000_000


def bootstrap_by_group(
    statistic: Statistic, groups: ArrayLike, *, resamples: int, seed: int | Sequence[int]
) -> Floats:
    """Values (resamples, m) of ``statistic`` on whole groups redrawn; all NaN for one group.

    Parameters
    ----------
    statistic : from (k, n) weights to (k, m) values; called in chunks of the resamples.
    groups : (n,) group of each image, e.g. its board_id; drawn with replacement.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    most = max(1, _CELLS // max(1, len(codes)))
    chunks = [statistic(np.ones((0, len(codes))))]
    for done in range(0, resamples, most):
        size = min(most, resamples - done)
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        chunks.append(statistic(weights[:, codes].astype(np.float64)))
    samples = np.concatenate(chunks)
    return samples if len(names) > 1 else np.full_like(samples, np.nan)


def percentile_interval(samples: Floats, *, confidence: float = 0.95) -> Interval:
    """Two-sided percentile interval (Efron, 1979); NaN samples are left out, none give None."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None, None
    lower, upper = np.quantile(finite, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(lower), float(upper)
