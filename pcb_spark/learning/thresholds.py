"""Which threshold keeps the promise: chosen on scores of images that no model was trained on.

It is the (k+1)-th lowest score among n true defects, for the largest k whose one-sided
Clopper-Pearson upper bound, BetaInv(confidence; k+1, n-k), stays within ``max_slip_rate``
(Clopper and Pearson, Biometrika 26, 1934). The bound covers the choice itself: the share of
defects below an order statistic is Beta(k+1, n-k) distributed whatever the scores' distribution
(Wilks, Ann. Math. Stat. 12, 1941), so no correction for having looked at the data is due.

It speaks of new defects that resemble the old ones and are independent of one another: ten alike
on one board count as ten, though they tell less. Where ``board_id`` is given, n and k shrink by
the design effect (Kish, 1965), 1 + (m - 1) r: m is the mean size of a defect's board, counted in
defects, and r the correlation within boards of the defects' score ranks (one-way analysis of
variance). Slips themselves are too few to tell r. Ranks stand in for them, on the safe side as
long as low scores don't cluster more than scores do as a whole: thresholding lowers a normal
variable's correlation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from pcb_spark.core.errors import ConfigError
from pcb_spark.core.policy import SegmentThresholds, round_scores
from pcb_spark.learning.judged import known_verdicts
from pcb_spark.learning.rates import Outcome, count_outcome, slip_upper_bound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Labels = Sequence[str | None]


class Promise(TypedDict, total=False):
    """Keyword arguments that every choice shares; ``confidence`` is 0.95 where it isn't given."""

    max_slip_rate: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold and the evidence for it.

    Attributes
    ----------
    value : scores below it are cleared; exactly a float32; 0.0 clears nothing.
    max_slip_rate, confidence : what was asked for, between 0 and 1.
    slips, defects : true defects below ``value``, and all true defects that have a score.
    design_effect : how many defects tell as much as one independent one; 1.0 and up.
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
    design_effect: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The pooled threshold, and one for each segment that has defects enough of its own.

    The pooled bound holds for the mix of all segments, not for each of them.

    Attributes
    ----------
    segment_by : column of the segments, e.g. ``line``; None where there are none.
    by_segment : segments with a threshold of their own.
    pooled_segments : those that use the pooled one, each with the reason.
    """

    pooled: Threshold
    segment_by: str | None = None
    by_segment: Mapping[str, Threshold] = field(default_factory=dict)
    pooled_segments: Mapping[str, str] = field(default_factory=dict)

    def values(self, segments: Iterable[str | None]) -> NDArray[np.float64]:
        """Threshold of each row (n,), the pooled one where its segment has none."""
        return SegmentThresholds.of(self.evidence()).values(segments)

    def evidence(self) -> dict[str, Any]:
        """Give the manifest's form: the pooled threshold's fields, then the segments."""
        return {
            **asdict(self.pooled),
            "segment_by": self.segment_by,
            "by_segment": {name: asdict(each) for name, each in self.by_segment.items()},
            "pooled_segments": dict(self.pooled_segments),
        }


def defects_needed(
    max_slip_rate: float, *, confidence: float = 0.95, slips: int = 0, design_effect: float = 1.0
) -> int:
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
        bound = slip_upper_bound(slips, defects, confidence=confidence, design_effect=design_effect)
        return bound <= max_slip_rate

    # 10**12 defects would show a slip rate of 3e-12: nobody needs more.
    return slips + bisect_left(range(slips, 10**12), True, key=enough)


def design_effect(scores: ArrayLike, board_id: Sequence[str]) -> float:
    """How many of these defects tell as much as one independent one, 1.0 .. n.

    Parameters
    ----------
    scores : (n,) of the true defects, n at least 1.
    board_id : (n,) board of each.
    """
    _, codes = np.unique(np.asarray(board_id, dtype=object), return_inverse=True)
    sizes = np.bincount(codes)
    return 1.0 + (float(sizes @ sizes) / len(codes) - 1.0) * _correlation(scores, codes, sizes)


def _correlation(scores: ArrayLike, codes: NDArray[np.intp], sizes: NDArray[np.intp]) -> float:
    """Intraclass correlation, 0..1, of the ranks; 1 where nothing tells otherwise."""
    n, groups = len(codes), len(sizes)
    if groups in (1, n):
        return float(groups == 1)
    # Ties share their mean rank, as in scipy.stats.rankdata, which takes long to import.
    _, rank_of, counts = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[rank_of]
    means = np.bincount(codes, ranks) / sizes
    between = float(sizes @ (means - ranks.mean()) ** 2) / (groups - 1)
    within = float(np.sum((ranks - means[codes]) ** 2)) / (n - groups)
    typical = (n - float(sizes @ sizes) / n) / (groups - 1)
    total = between + (typical - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 1.0


def choose_threshold(
    is_fail: ArrayLike,
    probability: ArrayLike,
    *,
    max_slip_rate: float,
    confidence: float = 0.95,
    board_id: Sequence[str] | None = None,
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
    board_id : (n,) where defects of one board count as correlated; None takes them as independent.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    TrainingError : verdicts and scores differ in length, or a verdict is null.
    """
    scores = round_scores(probability)
    of_defects = np.flatnonzero(known_verdicts(is_fail, len(scores)) & ~np.isnan(scores))
    ranked = np.sort(scores[of_defects])
    defects = len(ranked)
    effect = (
        design_effect(scores[of_defects], [board_id[row] for row in of_defects])
        if board_id is not None and defects
        else 1.0
    )
    needed = defects_needed(max_slip_rate, confidence=confidence, design_effect=effect)
    bound = partial(slip_upper_bound, defects=defects, confidence=confidence, design_effect=effect)
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
        design_effect=effect,
        reason=_cleared(promise, outcome)
        if holding
        else _cleared_nothing(promise, defects, needed),
    )


def _cleared(promise: str, outcome: Outcome) -> str:
    return (
        f"{promise}: {outcome.slips} of {outcome.defects} defects and {outcome.cleared_good} of "
        f"{outcome.good} good images score below the threshold"
    )


def _cleared_nothing(promise: str, defects: int, needed: int) -> str:
    return (
        f"clears nothing: to show that {promise} takes {needed} defects, "
        f"{defects} are there, {needed - defects} more are needed"
    )


def choose_thresholds(
    is_fail: ArrayLike,
    probability: ArrayLike,
    segments: Labels | None = None,
    *,
    segment_by: str | None = None,
    board_id: Sequence[str] | None = None,
    max_slip_rate: float,
    confidence: float = 0.95,
) -> Thresholds:
    """Pooled threshold, and one for each segment (line, part number) with defects enough.

    ``segments`` (n,) are the values of the column ``segment_by``, None where unknown.
    """
    scores = round_scores(probability)
    fails = known_verdicts(is_fail, len(scores))
    promise: Promise = {"max_slip_rate": max_slip_rate, "confidence": confidence}
    pooled = choose_threshold(fails, scores, board_id=board_id, **promise)
    labels = np.asarray(segments if segments is not None else [], dtype=object)
    own = {}
    for name in sorted({str(label) for label in labels if label}):
        rows = np.flatnonzero(labels == name)
        boards = None if board_id is None else [board_id[row] for row in rows]
        own[name] = choose_threshold(fails[rows], scores[rows], board_id=boards, **promise)
    return Thresholds(
        pooled=pooled,
        segment_by=segment_by,
        by_segment={k: v for k, v in own.items() if v.slip_rate_upper <= max_slip_rate},
        pooled_segments={k: v.reason for k, v in own.items() if v.slip_rate_upper > max_slip_rate},
    )
