"""What the rule would have done: thresholds chosen on earlier folds, counted on later ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core.policy import round_scores
from pcb_spark.learning.judged import known_verdicts
from pcb_spark.learning.rates import Outcome, count_outcome
from pcb_spark.learning.thresholds import Thresholds, choose_thresholds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Labels = Sequence[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Thresholds chosen on all folds before ``fold``, and what they did on ``fold``.

    ``values`` (m,) are the thresholds of the fold's images, in the order of the rows.
    """

    fold: int
    thresholds: Thresholds
    values: NDArray[np.float64]
    outcome: Outcome


def evaluate_forward(
    is_fail: ArrayLike,
    probability: ArrayLike,
    fold: ArrayLike,
    *,
    segments: Labels | None = None,
    board_id: Sequence[str] | None = None,
    max_slip_rate: float,
    confidence: float = 0.95,
) -> tuple[Forward, ...]:
    """Show what the rule would have done: for each fold but the first, chosen on those before.

    ``fold`` (n,) int is the fold in whose test period an image lies, in the order of time;
    ``segments`` and ``board_id`` as for ``choose_thresholds``.
    """
    scores, folds = round_scores(probability), np.asarray(fold, dtype=np.int64)
    fails = known_verdicts(is_fail, len(scores))
    labels: Labels = [None] * len(scores) if segments is None else segments
    steps = []
    for index in np.unique(folds)[1:]:
        past, now = np.flatnonzero(folds < index), np.flatnonzero(folds == index)
        thresholds = choose_thresholds(
            fails[past],
            scores[past],
            [labels[row] for row in past],
            board_id=None if board_id is None else [board_id[row] for row in past],
            max_slip_rate=max_slip_rate,
            confidence=confidence,
        )
        values = thresholds.values([labels[row] for row in now])
        outcome = count_outcome(fails[now], scores[now], values)
        steps.append(
            Forward(fold=int(index), thresholds=thresholds, values=values, outcome=outcome)
        )
    return tuple(steps)
