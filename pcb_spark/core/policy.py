"""From score to decision: the one rule that clears an image.

``learning.thresholds`` chooses the threshold; this is all that a machine needs that only decides.

Rounding: Spark scores in float64, the fused graph in float32. Rule and choice both round to
float32 first, so that an image gets one decision whichever of the two carries its score.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pcb_spark.core import names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PASS = "pass"
FAIL = "fail"
UNSCORABLE = "unscorable"

#: Columns whose values a model knows those of that it was trained on: a line is a camera.
KNOWN: Final = (names.LINE, names.PART_NUMBER)


class SegmentThresholds(NamedTuple):
    """The pooled threshold, and those of the segments that have one of their own.

    ``column`` is the traceability column that tells segments apart, None where there are none.
    """

    pooled: float
    column: str | None
    by_segment: Mapping[str, float]

    @classmethod
    def of(cls, evidence: Mapping[str, Any], field: str = "value") -> SegmentThresholds:
        """Read them off ``Thresholds.evidence``, which a bundle's manifest holds.

        ``field`` may name another score of each, as ``audit_high_from``; where a bundle of an
        earlier version has none, the threshold itself stands for it.
        """
        own = {
            name: float(each.get(field, each["value"]))
            for name, each in evidence.get("by_segment", {}).items()
        }
        pooled = float(evidence.get(field, evidence["value"]))
        return cls(pooled, evidence.get("segment_by"), own)

    def values(self, segments: Iterable[str | None]) -> NDArray[np.float64]:
        """Threshold of each row (n,), the pooled one where its segment has none."""
        chosen = (self.by_segment.get(each or "", self.pooled) for each in segments)
        return np.fromiter(chosen, dtype=np.float64)


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


def unseen(
    known: Mapping[str, Collection[str]], traceability: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Name the columns of an image whose value the model has never seen: nothing bounds its slips.

    Such an image is held against threshold 0. A value that nobody told is none that is new, and a
    column that was empty in training tells nothing.

    Parameters
    ----------
    known : a manifest's; empty where what is new is cleared as all else.
    """
    told = {name: traceability.get(name) for name in known}
    return tuple(
        name for name, values in known.items() if values and told[name] and told[name] not in values
    )


def unseen_sql(known: Mapping[str, Collection[str]]) -> str:
    """Give whether ``unseen`` names a column as an expression of Spark SQL."""
    lists = {name: ", ".join(map(_quoted, sorted(values))) for name, values in known.items()}
    each = [
        f"coalesce({name} != '' AND {name} NOT IN ({values}), false)"
        for name, values in lists.items()
        if values
    ]
    return " OR ".join(each) or "false"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


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
