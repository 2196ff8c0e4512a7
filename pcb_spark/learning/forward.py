"""What the rule would have done: thresholds chosen on earlier folds, counted on later ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.learning.rates import Outcome, count_outcome
from pcb_spark.learning.thresholds import Thresholds, choose_thresholds

if TYPE_CHECKING:
    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.promise import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Thresholds chosen on all folds before ``fold``, and the images of ``fold`` at them."""

    fold: int
    thresholds: Thresholds
    judged: Judged

    @property
    def outcome(self) -> Outcome:
        """What the thresholds did on the fold."""
        return count_outcome(self.judged)

    def next_outcome(self, promise: Promise) -> Outcome:
        """What they did on the fold's first defects in time, as many as ``promise`` speaks of.

        Good images aren't among them.
        """
        defects = self.judged[self.judged.is_fail].in_time()
        return count_outcome(defects[np.arange(len(defects)) < promise.next_defects.defects])


def evaluate_forward(judged: Judged, promise: Promise) -> tuple[Forward, ...]:
    """Show what the rule would have done: for each fold but the first, chosen on those before.

    Both on images whose verdicts no score has chosen, of which each counts as one.
    """
    judged = judged.ungated()
    steps = []
    for index in np.unique(judged.fold)[1:]:
        thresholds = choose_thresholds(judged[judged.fold < index], promise)
        now = thresholds.on(judged[judged.fold == index])
        steps.append(Forward(fold=int(index), thresholds=thresholds, judged=now))
    return tuple(steps)


def all_steps(judged: Judged, steps: Sequence[Forward]) -> Judged:
    """The images of all ``steps`` in the order of ``judged``, each at its own fold's threshold."""
    judged = judged.ungated()
    threshold = np.zeros(len(judged))
    for step in steps:
        threshold[judged.fold == step.fold] = step.judged.threshold
    return judged.at(threshold)[np.isin(judged.fold, [step.fold for step in steps])]
