"""From score to decision: the one rule that clears an image, and the threshold it uses.

The threshold is chosen on scores of images that their model was not trained on (out of fold). It
is the (k+1)-th lowest score among n true defects, for the largest k whose one-sided
Clopper-Pearson upper bound, BetaInv(confidence; k+1, n-k), stays within ``max_slip_rate``
(Clopper and Pearson, Biometrika 26, 1934). The bound covers the choice itself: the share of
defects below an order statistic is Beta(k+1, n-k) distributed whatever the scores' distribution
(Wilks, Ann. Math. Stat. 12, 1941), so no correction for having looked at the data is due.

It speaks of new defects that resemble the old ones and are independent of one another: ten alike
on one board count as ten here, though they tell less. ``metrics`` shows intervals by board.

Rounding: Spark scores in float64, the fused graph in float32. Rule and choice both round to
float32 first, so that an image gets one decision whichever of the two carries its score.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcb_spark.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

PASS = "pass"
FAIL = "fail"
UNSCORABLE = "unscorable"


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
            "slip_rate": _rate(self.slips, self.defects, confidence),
            "false_call_reduction": _rate(self.cleared_good, self.good, two_sided),
            "review_reduction": _rate(cleared, total, two_sided),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold and the evidence for it.

    Attributes
    ----------
    value : scores below it are cleared; exactly a float32; 0.0 clears nothing.
    max_slip_rate, confidence : what was asked for, between 0 and 1.
    slips, defects : true defects below ``value``, and all true defects that have a score.
    slip_rate_upper : bound on the slip rate; above ``max_slip_rate`` only where nothing is cleared
        for want of defects: the best that so few could show.
    cleared_good, good : good images below ``value``, and all good images.
    reason : one sentence for the log, the manifest and the report.
    """

    value: float
    max_slip_rate: float
    confidence: float
    slips: int
    defects: int
    slip_rate_upper: float
    cleared_good: int
    good: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The pooled threshold, and one for each segment that has defects enough of its own.

    The pooled bound holds for the mix of all segments, not for each of them.
    """

    pooled: Threshold
    by_segment: dict[str, Threshold]

    def values(self, segments: Sequence[str | None]) -> NDArray[np.float64]:
        """Threshold of each row (n,), the pooled one where its segment has none."""
        chosen = (self.by_segment.get(s, self.pooled) if s else self.pooled for s in segments)
        return np.fromiter((threshold.value for threshold in chosen), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A threshold chosen on all folds before ``fold``, and what it did on ``fold``."""

    fold: int
    threshold: Threshold
    outcome: Outcome


def slip_upper_bound(slips: int, defects: int, *, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson upper bound, 0..1; 1.0 where all slipped, or there are none."""
    if slips == defects:
        return 1.0
    # Imported here: the edge runtime shares decide() and installs no scipy. betaincinv is what
    # scipy.stats.beta.ppf calls, without the time that importing scipy.stats takes.
    from scipy.special import betaincinv

    return float(betaincinv(slips + 1, defects - slips, confidence))


def _rate(hits: int, n: int, side: float) -> Rate:
    """``hits / n`` in its bounds, each of which holds with confidence ``side``."""
    lower = 1 - slip_upper_bound(n - hits, n, confidence=side)
    return Rate(hits / n if n else None, lower, slip_upper_bound(hits, n, confidence=side), n)


def defects_needed(max_slip_rate: float, *, confidence: float = 0.95, slips: int = 0) -> int:
    """Fewest defects with which ``slips`` slips still show a rate within ``max_slip_rate``.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    """
    for key, got in (("max_slip_rate", max_slip_rate), ("confidence", confidence)):
        if not 0 < got < 1:
            what = f"policy.{key} is out of range"
            raise ConfigError(what, expected="above 0 and below 1", got=got)

    def enough(defects: int) -> bool:
        return slip_upper_bound(slips, defects, confidence=confidence) <= max_slip_rate

    # 10**12 defects would show a slip rate of 3e-12: nobody needs more.
    return slips + bisect_left(range(slips, 10**12), True, key=enough)


def round_scores(probability: ArrayLike) -> NDArray[np.float32]:
    """Scores (n,) as the rule sees them: float32, NaN where there is none or it is no 0..1."""
    scores = np.asarray(probability, dtype=np.float64)
    return np.where((scores >= 0) & (scores <= 1), scores, np.nan).astype(np.float32)


def decide(probability: ArrayLike, threshold: ArrayLike) -> NDArray[np.str_]:
    """``pass`` below the threshold, ``fail`` at or above it, ``unscorable`` without a score.

    Parameters
    ----------
    probability : (n,) of any float type, probability of ``fail``; NaN or a value outside 0..1 is
        unscorable and never cleared.
    threshold : one for all rows or (n,), 0..1; 0.0 clears nothing.
    """
    scores = round_scores(probability)
    cleared = scores < np.asarray(threshold, dtype=np.float32)
    return np.where(cleared, PASS, np.where(np.isnan(scores), UNSCORABLE, FAIL))


def known_verdicts(is_fail: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Verdicts as (n,) bool; refuses nulls, since what no operator has seen is never ``pass``.

    Raises
    ------
    TrainingError : another length than ``n``, or a value other than true or false.
    """
    verdicts = np.asarray(is_fail)
    known = verdicts.dtype.kind in "biuf" and bool(np.isin(verdicts, (0, 1)).all())
    if verdicts.shape != (n,) or not known:
        raise TrainingError(
            "the verdicts don't fit the scores",
            expected=f"true or false for each of {n} images",
            got=f"{verdicts.dtype} of shape {verdicts.shape}, nulls included",
            hint="leave out images that no operator has verified",
        )
    return verdicts.astype(bool)


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


def choose_threshold(
    is_fail: ArrayLike, probability: ArrayLike, *, max_slip_rate: float, confidence: float = 0.95
) -> Threshold:
    """Largest threshold whose bound on the slip rate stays within ``max_slip_rate``.

    Walks upward over the defects' scores and stops at the first whose bound is too high; slips
    change nowhere else, and the bound grows with them, so bisection ends at the same place. The
    value is the score of the last defect that holds, the largest that clears no more: scores equal
    to it stay with the operator, so ties go together. Defects without a score, which can't slip,
    are left out: that can only raise the bound.

    Parameters
    ----------
    is_fail : (n,) bool, true for a true defect.
    probability : (n,) out-of-fold scores, 0..1, or NaN.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    TrainingError : verdicts and scores differ in length, or a verdict is null.
    """
    needed = defects_needed(max_slip_rate, confidence=confidence)
    scores = round_scores(probability)
    ranked = np.sort(scores[known_verdicts(is_fail, len(scores)) & ~np.isnan(scores)])
    defects = len(ranked)
    bound = partial(slip_upper_bound, defects=defects, confidence=confidence)
    holding = bisect_right(range(defects), max_slip_rate, key=bound)
    value = float(ranked[holding - 1]) if holding else 0.0
    outcome = count_outcome(is_fail, scores, value)
    promise = f"at most {max_slip_rate:.4g} of defects slip ({confidence:.4g} confidence)"
    return Threshold(
        value=value,
        max_slip_rate=max_slip_rate,
        confidence=confidence,
        slips=outcome.slips,
        defects=defects,
        slip_rate_upper=bound(outcome.slips),
        cleared_good=outcome.cleared_good,
        good=outcome.good,
        reason=f"{promise}: {outcome.slips} of {defects} defects and {outcome.cleared_good} of "
        f"{outcome.good} good images score below the threshold"
        if holding
        else f"clears nothing: to show that {promise} takes {needed} defects, "
        f"{defects} are there, {needed - defects} more are needed",
    )


def choose_thresholds(
    is_fail: ArrayLike,
    probability: ArrayLike,
    segments: Sequence[str | None],
    *,
    max_slip_rate: float,
    confidence: float = 0.95,
) -> Thresholds:
    """Pooled threshold, and one for each segment (line, part number) with defects enough."""
    scores, labels = round_scores(probability), np.asarray(segments, dtype=object)
    fails = known_verdicts(is_fail, len(scores))
    options = {"max_slip_rate": max_slip_rate, "confidence": confidence}
    own = {
        name: choose_threshold(fails[labels == name], scores[labels == name], **options)
        for name in sorted({segment for segment in segments if segment})
    }
    return Thresholds(
        pooled=choose_threshold(fails, scores, **options),
        by_segment={k: v for k, v in own.items() if v.slip_rate_upper <= max_slip_rate},
    )


def evaluate_forward(
    is_fail: ArrayLike,
    probability: ArrayLike,
    fold: ArrayLike,
    *,
    max_slip_rate: float,
    confidence: float = 0.95,
) -> tuple[Forward, ...]:
    """Show what the rule would have done: for each fold but the first, chosen on those before.

    ``fold`` (n,) int is the fold in whose test period an image lies, in the order of time.
    """
    scores, folds = round_scores(probability), np.asarray(fold, dtype=np.int64)
    fails = known_verdicts(is_fail, len(scores))
    options = {"max_slip_rate": max_slip_rate, "confidence": confidence}
    steps = []
    for index in np.unique(folds)[1:]:
        past, now = folds < index, folds == index
        threshold = choose_threshold(fails[past], scores[past], **options)
        outcome = count_outcome(fails[now], scores[now], threshold.value)
        steps.append(Forward(fold=int(index), threshold=threshold, outcome=outcome))
    return tuple(steps)
