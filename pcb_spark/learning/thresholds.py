"""Which threshold keeps the promise: chosen on scores of images that no model was trained on.

It is the (k+1)-th lowest score among n true defects, for the largest k whose one-sided
Clopper-Pearson upper bound, BetaInv(confidence; k+1, n-k), stays within ``max_slip_rate``
(Clopper and Pearson, Biometrika 26, 1934). The bound covers the choice itself: the share of
defects below an order statistic is Beta(k+1, n-k) distributed whatever the scores' distribution
(Wilks, Ann. Math. Stat. 12, 1941), so no correction for having looked at the data is due.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pcb_spark.core.policy import SegmentThresholds, round_scores
from pcb_spark.learning.rates import Outcome, count_outcome, slip_upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.learning.bootstrap import Floats
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.promise import Promise


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

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> Threshold:
        """Read the pooled one off ``Thresholds.evidence``, which a bundle's manifest holds."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in evidence.items() if name in known})


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

    def on(self, judged: Judged) -> Judged:
        """The same images, each at its segment's threshold, or at the pooled one."""
        return judged.at(self.values(judged.segments(self.segment_by)))

    def evidence(self) -> dict[str, Any]:
        """Give the manifest's form: the pooled threshold's fields, then the segments."""
        return {
            **asdict(self.pooled),
            "segment_by": self.segment_by,
            "by_segment": {name: asdict(each) for name, each in self.by_segment.items()},
            "pooled_segments": dict(self.pooled_segments),
        }


def choose_threshold(judged: Judged, promise: Promise) -> Threshold:
    """Largest threshold whose bound on the slip rate stays within ``max_slip_rate``.

    Walks upward over the defects' scores and stops at the first whose bound is too high; slips
    change nowhere else, and the bound grows with them, so bisection ends at the same place. The
    value is the score of the last defect that holds, the largest that clears no more: scores equal
    to it stay with the operator, so ties go together. Defects without a score, which can't slip,
    are left out: that can only raise the bound.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    """
    scores = round_scores(judged.score)
    ranked = np.sort(scores[judged.is_fail & ~np.isnan(scores)])
    defects, effect = len(ranked), promise.design_effect(judged)
    needed = promise.defects_needed(design_effect=effect)
    bound = partial(
        slip_upper_bound, defects=defects, confidence=promise.confidence, design_effect=effect
    )
    holding = bisect_right(range(defects), promise.max_slip_rate, key=bound)
    value = float(ranked[holding - 1]) if holding else 0.0
    outcome = count_outcome(judged.at(value))
    said = (
        f"at most {promise.max_slip_rate:.4g} of defects slip ({promise.confidence:.4g} confidence)"
    )
    return Threshold(
        value=value,
        max_slip_rate=promise.max_slip_rate,
        confidence=promise.confidence,
        slips=outcome.slips,
        defects=defects,
        slip_rate_upper=bound(outcome.slips),
        cleared_good=outcome.cleared_good,
        good=outcome.good,
        design_effect=effect,
        reason=_cleared(said, outcome) if holding else _cleared_nothing(said, defects, needed),
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


def choose_thresholds(judged: Judged, promise: Promise) -> Thresholds:
    """Pooled threshold, and one for each segment (line, part number) with defects enough."""
    labels = judged.segments(promise.segment_by)
    own = {
        name: choose_threshold(judged[labels == name], promise)
        for name in sorted({str(label) for label in labels if label})
    }
    most = promise.max_slip_rate
    return Thresholds(
        pooled=choose_threshold(judged, promise),
        segment_by=promise.segment_by,
        by_segment={k: v for k, v in own.items() if v.slip_rate_upper <= most},
        pooled_segments={k: v.reason for k, v in own.items() if v.slip_rate_upper > most},
    )


class SlipCurve(NamedTuple):
    """Every threshold that could have been chosen, one a row, in ascending order, (n,) each.

    ``cleared`` is the share of images below it, ``slips`` how many of them are defects, and
    ``upper`` the bound on the slip rate that the choice goes by.
    """

    cleared: Floats
    slips: NDArray[np.int64]
    upper: Floats


def slip_curve(judged: Judged, chosen: Threshold) -> SlipCurve:
    """Walk upward over the scores of images, at least one a defect, by the bound of ``chosen``."""
    fails = judged.is_fail[np.argsort(judged.score, kind="stable")]
    slips = np.cumsum(fails)
    bound = partial(
        slip_upper_bound,
        defects=int(slips[-1]),
        confidence=chosen.confidence,
        design_effect=chosen.design_effect,
    )
    upper = np.array([bound(k) for k in range(slips[-1] + 1)])
    return SlipCurve(np.arange(1, len(fails) + 1) / len(fails), slips, upper[slips])
