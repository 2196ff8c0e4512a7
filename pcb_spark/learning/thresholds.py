"""Which thresholds are served, and the evidence for them that a bundle's manifest keeps.

They are chosen by the rule of the promise (``next_defects``) on scores of images that no model was
trained on. What they do to these same images is counted beside, and proves nothing: ``forward``
says what they would have done to the images that came after.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pcb_spark.core import names
from pcb_spark.core.policy import SegmentThresholds, round_scores
from pcb_spark.core.review import HIGHEST
from pcb_spark.learning.next_defects import choose_lot, choose_next, ranks_by_slips
from pcb_spark.learning.rates import count_outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.learning.bootstrap import Floats
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.lot_spread import LotSpread
    from pcb_spark.learning.next_defects import Choice
    from pcb_spark.learning.promise import Promise


#: Near slips are the caught ones among so many times the defects that may slip.
_NEAR = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold and the evidence for it.

    Attributes
    ----------
    value : scores below it are cleared; exactly a float32; 0.0 clears nothing.
    max_slip_rate, confidence, bound : what was asked for, see ``Promise``.
    next_slips, next_defects : what is promised: at most so many slips of so many next defects.
    rank : it is the rank-th lowest of the known defects' scores; 0 where nothing may be cleared.
    defects, needed : known defects that have a score, and the fewest that clear anything.
    risk : probability that the promise is broken, 0..1; above 1 - confidence only where nothing is
        cleared.
    first, last : dates of the first and the last of these defects, as 2024-01-27; None where no
        date is known.
    spread : how much their lots differ; None where the rule takes no notice of them.
    near_until, near_share : between ``value`` and the former score lies the latter share of the
        known defects that are caught, 0..1; more of them later are a warning.
    audit_high_from : the highest tenth of the cleared scores begins here; see ``core.review``.
    slips, cleared_good, good : on these same scores, true defects and good images below ``value``,
        and all good images.
    reason : one sentence for the log, the manifest and the report.
    """

    value: float
    max_slip_rate: float
    confidence: float
    bound: str
    next_slips: int
    next_defects: int
    rank: int
    defects: int
    needed: int
    risk: float
    first: str | None
    last: str | None
    spread: LotSpread | None
    audit_high_from: float
    near_until: float
    near_share: float
    slips: int
    cleared_good: int
    good: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The pooled threshold, and one for each segment that has defects enough of its own.

    The pooled promise holds for the mix of all segments, not for each of them.

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
    """Choose by the rule of ``promise``, from verdicts that no score has chosen.

    Defects without a score, which can't slip, are left out.

    Raises
    ------
    ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
    """
    judged = judged.ungated()
    known = judged[judged.is_fail & ~np.isnan(judged.score)]
    choice, (first, last) = _choice(known, promise), known.period()
    outcome = count_outcome(judged.at(choice.value))
    near_until, near_share = _near(known, choice.value, promise.max_slip_rate)
    return Threshold(
        value=choice.value,
        max_slip_rate=promise.max_slip_rate,
        confidence=promise.confidence,
        bound=promise.bound,
        next_slips=choice.promise.slips,
        next_defects=choice.promise.defects,
        rank=choice.rank,
        defects=choice.defects,
        needed=choice.needed,
        risk=choice.risk,
        first=first.isoformat() if first else None,
        last=last.isoformat() if last else None,
        spread=choice.spread,
        slips=outcome.slips,
        cleared_good=outcome.cleared_good,
        good=outcome.good,
        audit_high_from=_highest_of_cleared(judged, choice.value),
        near_until=near_until,
        near_share=near_share,
        reason=choice.sentence(first, last),
    )


def _near(known: Judged, threshold: float, max_slip_rate: float) -> tuple[float, float]:
    """Up to which score a caught defect is a near slip, and the share of the known ones that is."""
    scores = round_scores(known.score)
    caught = scores[scores >= np.float32(threshold)]
    if not threshold or not len(caught):
        return threshold, 0.0
    until = float(np.quantile(scores, min(1.0, _NEAR * max_slip_rate), method="lower"))
    return until, np.count_nonzero(caught < np.float32(until)) / len(caught)


def _highest_of_cleared(judged: Judged, threshold: float) -> float:
    """Where the highest tenth of the scores below ``threshold`` begins."""
    scores = round_scores(judged.score)
    below = np.sort(scores[scores < np.float32(threshold)])
    return float(below[math.floor(len(below) * (1 - HIGHEST))]) if len(below) else threshold


def _choice(known: Judged, promise: Promise) -> Choice:
    asked: dict[str, float] = {
        "max_slip_rate": promise.max_slip_rate, "confidence": promise.confidence,
    }  # fmt: skip
    if promise.bound == "lot":
        return choose_lot(known.score, known.segments(names.LOT).tolist(), **asked)
    return choose_next(known.score, **asked)


def choose_thresholds(judged: Judged, promise: Promise) -> Thresholds:
    """Pooled threshold, and one for each segment (line, part number) with defects enough."""
    labels = judged.segments(promise.segment_by)
    own = {
        name: choose_threshold(judged[labels == name], promise)
        for name in sorted({str(label) for label in labels if label})
    }
    return Thresholds(
        pooled=choose_threshold(judged, promise),
        segment_by=promise.segment_by,
        by_segment={name: each for name, each in own.items() if each.rank},
        pooled_segments={name: each.reason for name, each in own.items() if not each.rank},
    )


class SlipCurve(NamedTuple):
    """Every threshold that could have been chosen, one a row, in ascending order, (n,) each.

    ``cleared`` is the share of images below it, ``slips`` how many of them are defects, and
    ``upper`` the largest share of the next defects that slips, with the promise's confidence.
    """

    cleared: Floats
    slips: NDArray[np.int64]
    upper: Floats


def slip_curve(
    judged: Judged, promise: Promise, *, most: int, spread: LotSpread | None = None
) -> SlipCurve:
    """Walk upward over the scores of images, at least one a defect, up to ``most`` slips.

    ``spread`` is that of the lots where the rule takes notice of them.
    """
    fails = judged.is_fail[np.argsort(judged.score, kind="stable")]
    slips = np.cumsum(fails)
    ranks = ranks_by_slips(promise.next_defects, int(slips[-1]), most + 1, spread)
    shown = slips <= most
    # Where so many slip, the threshold is the score of the next defect, which doesn't.
    upper = np.searchsorted(ranks, slips[shown] + 1) / promise.next_defects.defects
    return SlipCurve((np.arange(1, len(fails) + 1) / len(fails))[shown], slips[shown], upper)
