"""What is promised, and the bound that shows it: whatever speaks of slips takes it from here.

The bound speaks of new defects that resemble the old ones and are independent of one another: ten
alike on one board count as ten, though they tell less. Where boards are taken as correlated, slips
and defects shrink by the design effect (Kish, 1965), 1 + (m - 1) r: m is the mean size of a
defect's board, counted in defects, and r the correlation within boards of the defects' score ranks
(one-way analysis of variance). Slips themselves are too few to tell r. Ranks stand in for them, on
the safe side as long as low scores don't cluster more than scores do as a whole: thresholding
lowers a normal variable's correlation.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.errors import ConfigError
from pcb_spark.core.policy import round_scores
from pcb_spark.learning.rates import slip_upper_bound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pcb_spark.learning.judged import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """At most ``max_slip_rate`` of defects slip, 0..1, with ``confidence``, 0..1.

    Attributes
    ----------
    segment_by : traceability column whose values have thresholds of their own where their defects
        are enough; None where all share one.
    correlated_boards : whether defects of one board count as correlated.
    """

    max_slip_rate: float
    confidence: float = 0.95
    segment_by: str | None = None
    correlated_boards: bool = False

    def design_effect(self, judged: Judged) -> float:
        """How many of these defects tell as much as one independent one, 1.0 and up."""
        defects = judged[judged.is_fail & ~np.isnan(judged.score)]
        if not self.correlated_boards or not len(defects):
            return 1.0
        return design_effect(round_scores(defects.score), defects.board_id)

    def defects_needed(self, *, slips: int = 0, design_effect: float = 1.0) -> int:
        """Fewest defects with which ``slips`` slips still show a rate within ``max_slip_rate``.

        Raises
        ------
        ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
        """
        for key in ("max_slip_rate", "confidence"):
            got = getattr(self, key)
            if not 0 < got < 1:
                what = f"policy.{key} is out of range"
                raise ConfigError(what, expected="above 0 and below 1", got=got)

        def enough(defects: int) -> bool:
            bound = slip_upper_bound(
                slips, defects, confidence=self.confidence, design_effect=design_effect
            )
            return bound <= self.max_slip_rate

        # 10**12 defects would show a slip rate of 3e-12: nobody needs more.
        return slips + bisect_left(range(slips, 10**12), True, key=enough)


def design_effect(scores: ArrayLike, board_id: ArrayLike) -> float:
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
