from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.learning.forward import evaluate_forward
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.rates import Outcome, decision_rates
from tests.judged import judged

PROMISE = Promise(max_slip_rate=0.02)
BY_LINE = Promise(max_slip_rate=0.02, segment_by="line")


def test_forward_chooses_on_the_past_and_counts_on_the_present() -> None:
    # Fold 1: 163 defects at 0.5. Fold 2: of two defects one slips, of two good ones one clears.
    # Fold 3 sees both: 165 defects still allow the lowest alone, so the threshold falls to 0.4.
    is_fail = [True] * 163 + [True, True, False, False] + [True, False]
    scores = [0.5] * 163 + [0.4, 0.8, 0.3, 0.7] + [0.6, 0.45]
    fold = [1] * 163 + [2] * 4 + [3] * 2

    second, third = evaluate_forward(judged(is_fail, scores, fold=fold), PROMISE)

    assert (second.fold, second.thresholds.pooled.value) == (2, 0.5)
    assert second.outcome == Outcome(slips=1, defects=2, cleared_good=1, good=2)
    assert (third.fold, third.thresholds.pooled.value) == (3, float(np.float32(0.4)))
    assert third.outcome == Outcome(slips=0, defects=1, cleared_good=0, good=1)
    assert decision_rates(second.judged)["slip_rate"].upper == pytest.approx(0.974679, abs=1e-6)


def test_one_defect_too_few_clears_nothing_forward() -> None:
    table = judged([True] * 162 + [False], [0.5] * 162 + [0.1], fold=[1] * 162 + [2])

    (second,) = evaluate_forward(table, PROMISE)

    assert second.thresholds.pooled.value == 0.0
    assert second.outcome == Outcome(slips=0, defects=0, cleared_good=0, good=1)


def test_one_fold_has_no_past() -> None:
    assert evaluate_forward(judged([True, False], [0.9, 0.1]), PROMISE) == ()


def test_forward_uses_the_thresholds_of_the_segments() -> None:
    # Fold 1: 163 defects a line, from 0.6 on in L1 and from 0.2 on in L2; pooled it is 0.2.
    is_fail = [True] * 326 + [False, False]
    scores = [0.6] * 163 + [0.2] * 163 + [0.5, 0.5]
    lines = ["L1"] * 163 + ["L2"] * 163 + ["L1", "L2"]
    fold = [1] * 326 + [2, 2]

    table = judged(is_fail, scores, fold=fold, line=lines)
    (own,) = evaluate_forward(table, BY_LINE)
    (pooled,) = evaluate_forward(table, PROMISE)

    assert own.outcome == Outcome(slips=0, defects=0, cleared_good=1, good=2)
    assert own.judged.threshold.tolist() == [float(np.float32(0.6)), float(np.float32(0.2))]
    assert pooled.outcome.cleared_good == 0


def test_the_next_defects_are_the_first_in_time() -> None:
    # 64 known ones at 5 %: the threshold is 0.5. Of the 100 next ones the last six in the table
    # were taken first and slip, and so does one that was taken as the 81st.
    known, minutes = [0.5] * 64, np.arange(94) + 6
    scores = [*known, *np.where(minutes == 80, 0.1, 0.9), *[0.2] * 6]
    taken = [*[0] * 64, *minutes, *range(6)]
    table = judged(
        [True] * 164, scores, fold=[1] * 64 + [2] * 100,
        captured_at=np.datetime64("2026-02-01T00:00", "us") + np.array(taken, "timedelta64[m]"),
    )  # fmt: skip
    promise = Promise(max_slip_rate=0.05)

    (step,) = evaluate_forward(table, promise)

    assert step.outcome.slips == 7
    assert step.next_outcome(promise) == Outcome(slips=6, defects=80, cleared_good=0, good=0)
    assert not promise.holds(0.07, 6)


def test_verdicts_that_scores_have_chosen_say_nothing_forward() -> None:
    is_fail, scores = [True] * 165, [0.5] * 163 + [0.4, 0.8]
    fold, gated = [1] * 163 + [2] * 2, [False] * 163 + [True, False]
    table = judged(is_fail, scores, fold=fold, gated=gated, weight=[1] * 163 + [17, 17])

    (second,) = evaluate_forward(table, PROMISE)

    assert second.outcome == Outcome(slips=0, defects=1, cleared_good=0, good=0)
    assert second.judged.weight.tolist() == [1.0]
