"""The gate of promotion: champion and challenger on the same images, all of which have a verdict.

A challenger passes where it lets no more slip and asks for no more reviews:

* the upper bound of its slip rate is not above the champion's, or is within the rate that both
  promise. Where verdicts are too few for such a bound, its slip rate itself has to be within the
  promised one, and not shown to be worse where the champion clears anything at all;
* the review reduction is not shown to be worse.

Worse is shown where the interval of the difference, over whole boards redrawn for both at once,
doesn't reach 0.

Without a champion the slip rate itself has to be within the promised one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.learning.bootstrap import Resampling, bootstrap_by_group, percentile_interval
from pcb_spark.learning.rates import Rate, cleared, decision_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.learning.bootstrap import Floats, Interval
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.promise import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one model did to the images of the window."""

    slip_rate: Rate
    false_call_reduction: Rate
    review_reduction: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both sides, and what the challenger reviews less, in its interval; ``champion`` may be None.

    ``refusals`` says why the challenger doesn't pass; it passes where there is none.
    """

    images: int
    defects: int
    boards: int
    challenger: Side
    champion: Side | None
    difference: float | None
    interval: Interval
    refusals: tuple[str, ...]


def strictest(promises: Iterable[Promise | None]) -> Promise | None:
    """The promise of the lowest slip rate: no challenger passes by one that is looser."""
    known = [each for each in promises if each is not None]
    return min(known, key=lambda each: each.max_slip_rate, default=None)


def compare(
    challenger: Judged, champion: Judged | None, promise: Promise, drawn: Resampling
) -> Comparison:
    """Compare two models on the same images, in the same order, each at its own thresholds."""
    own = _side(challenger, promise)
    other = _side(champion, promise) if champion else None
    difference: float | None = None
    interval: Interval = (None, None)
    more_slips: Interval = (0.0, 0.0)
    if champion is not None:
        every = np.ones(len(challenger), dtype=bool)
        difference, interval = _more(challenger, champion, every, promise, drawn)
        # What the champion decides at threshold 0 can't slip by it, and compares nothing.
        defects = challenger.is_fail & (champion.threshold > 0)
        if defects.any():
            _, more_slips = _more(challenger, champion, defects, promise, drawn)
    return Comparison(
        images=len(challenger),
        defects=int(np.count_nonzero(challenger.is_fail)),
        boards=len(np.unique(challenger.board_id.astype(str))),
        challenger=own,
        champion=other,
        difference=difference,
        interval=interval,
        refusals=tuple(_refusals(own, other, interval, more_slips, promise)),
    )


def _side(judged: Judged, promise: Promise) -> Side:
    return Side(**decision_rates(judged, confidence=promise.confidence))


def _more(
    challenger: Judged,
    champion: Judged,
    counted: NDArray[np.bool_],
    promise: Promise,
    drawn: Resampling,
) -> tuple[float | None, Interval]:
    """How much larger a share of the counted images the challenger clears, and its interval."""
    if not counted.any():
        return None, (None, None)
    more = (cleared(challenger).astype(np.float64) - cleared(champion))[counted]
    weight = challenger.weight[counted]

    def shares(times: Floats) -> Floats:
        weights = times * weight
        with np.errstate(invalid="ignore"):  # a resample may have none of them
            found: Floats = (weights @ more) / weights.sum(axis=1)
        return found[:, None]

    samples = bootstrap_by_group(
        shares, challenger.board_id.astype(str)[counted],
        resamples=drawn.resamples, seed=drawn.seed,
    )  # fmt: skip
    value = float(shares(np.ones((1, len(more))))[0, 0])
    return value, percentile_interval(samples[:, 0], confidence=promise.confidence)


def _refusals(
    challenger: Side,
    champion: Side | None,
    interval: Interval,
    more_slips: Interval,
    promise: Promise,
) -> list[str]:
    slips, promised = challenger.slip_rate, promise.max_slip_rate
    if not slips.n:
        return ["no verdict of a defect says what either lets slip"]
    if champion is None:
        value = slips.value or 0.0
        return [f"it lets {value:.1%} slip, {promised:.1%} promised"] if value > promised else []
    found = []
    bounded = slips.upper <= max(champion.slip_rate.upper, promised)
    worse = more_slips[0] is None or more_slips[0] > 0
    if not bounded and (worse or (slips.value or 0.0) > promised):
        found.append(
            f"at most {slips.upper:.1%} of defects slip, where the champion's bound is "
            f"{champion.slip_rate.upper:.1%}"
        )
    if interval[1] is not None and interval[1] < 0:
        found.append(f"it clears less: {interval[0]:+.1%} to {interval[1]:+.1%} of all reviews")
    return found


def as_json(found: Comparison) -> dict[str, object]:
    """What a record of promotion keeps of a comparison."""
    sides = {"challenger": found.challenger, "champion": found.champion}
    return {
        "images": found.images,
        "defects": found.defects,
        "boards": found.boards,
        **{
            f"{name} {rate}": list(getattr(side, rate))
            for name, side in sides.items()
            if side
            for rate in ("slip_rate", "false_call_reduction", "review_reduction")
        },
        "difference": found.difference,
        "interval": list(found.interval),
        "refusals": list(found.refusals),
    }
