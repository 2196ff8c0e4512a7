"""Caught defects that nearly slipped: a warning before slips are seen, and no promise.

Slips are rare and mostly unseen. Defects just above the threshold are neither: where their share of
the caught ones rises, scores of defects are sinking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.policy import round_scores
from pcb_spark.learning.rates import Rate, rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Confidence that the share has risen, before that is said: it is looked at every night.
_CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class NearSlips:
    """The share of the caught defects that nearly slipped, and the one that was expected, 0..1."""

    found: Rate
    expected: float

    @property
    def risen(self) -> bool:
        """Whether it is higher than expected, by more than one night's chance explains."""
        return self.found.n > 0 and self.found.lower > self.expected


def near_slips(scores: ArrayLike, *, near_until: float, expected: float) -> NearSlips:
    """Count near slips among the scores (n,) of caught defects.

    Parameters
    ----------
    near_until, expected : ``near_until`` and ``near_share`` of the threshold that they are above.
    """
    caught = round_scores(scores)
    hits = np.count_nonzero(caught < np.float32(near_until))
    return NearSlips(found=rate(hits, len(caught), _CONFIDENCE), expected=expected)
