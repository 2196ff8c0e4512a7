"""From score to decision: the one rule that clears an image, and what a threshold did.

``thresholds`` chooses the threshold; this module is all that a machine needs that only decides.

Rounding: Spark scores in float64, the fused graph in float32. Rule and choice both round to
float32 first, so that an image gets one decision whichever of the two carries its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pcb_spark.errors import TrainingError

if TYPE_CHECKING:
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
            "slip_rate": rate(self.slips, self.defects, confidence),
            "false_call_reduction": rate(self.cleared_good, self.good, two_sided),
            "review_reduction": rate(cleared, total, two_sided),
        }


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


class SegmentThresholds(NamedTuple):
    """The pooled threshold, and those of the segments that have one of their own.

    ``column`` is the traceability column that tells segments apart, None where there are none.
    """

    pooled: float
    column: str | None
    by_segment: Mapping[str, float]

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> SegmentThresholds:
        """Read them off ``Thresholds.evidence``, which a bundle's manifest holds."""
        own = {name: float(each["value"]) for name, each in evidence.get("by_segment", {}).items()}
        return cls(float(evidence["value"]), evidence.get("segment_by"), own)

    def values(self, segments: Iterable[str | None]) -> NDArray[np.float64]:
        """Threshold of each row (n,), the pooled one where its segment has none."""
        chosen = (self.by_segment.get(each or "", self.pooled) for each in segments)
        return np.fromiter(chosen, dtype=np.float64)


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


def decision_sql(probability: str, threshold: str) -> str:
    """Give the rule of ``decide`` as an expression of Spark SQL over two columns, by their names.

    Where scores lie in Spark it decides them there: sent through Python for one comparison they
    would need a second Python worker a task, which takes longer to start than the rule to run.
    """
    score = f"CAST({probability} AS FLOAT)"
    return (
        f"CASE WHEN NOT coalesce({probability} BETWEEN 0 AND 1, false) THEN '{UNSCORABLE}'"
        f" WHEN {score} < CAST({threshold} AS FLOAT) THEN '{PASS}' ELSE '{FAIL}' END"
    )


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


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Add outcomes up, each at a threshold of its own."""
    counts = [(0, 0, 0, 0), *((o.slips, o.defects, o.cleared_good, o.good) for o in outcomes)]
    slips, defects, cleared_good, good = (sum(column) for column in zip(*counts, strict=True))
    return Outcome(slips=slips, defects=defects, cleared_good=cleared_good, good=good)
