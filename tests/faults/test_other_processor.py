from __future__ import annotations

from faults import other_processor
from pcb_spark.core.scorer import Score


def score(probability: float | None, decision: str) -> Score:
    return Score(probability=probability, threshold=0.5, decision=decision)


def test_scores_and_decisions_that_differ_are_counted() -> None:
    here = [score(0.25, "pass"), score(0.4375, "pass"), score(None, "unscorable")]
    there = [score(0.25, "pass"), score(0.5625, "fail"), score(None, "unscorable")]
    assert other_processor.report(here, there, "Haswell").splitlines() == [
        "3 pairs, 2 scored on both, here and as Haswell",
        "other probability: 1, by 0.12 at most",
        "other decision: 1; the nearest score lies 0.062 off its threshold",
    ]
