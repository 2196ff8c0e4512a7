from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.report import explained
from pcb_spark.report.explained import Circumstances
from tests.report import evidence

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Manifest

MANIFEST: Manifest = dataclasses.replace(
    evidence.model().manifest, known={"line": ["L1"], "part_number": ["A", "B"]}
)
STOP = {
    "line": "L1", "who": "anna", "why": "new paste",
    "said_at": datetime(2026, 3, 2, 5, 30, tzinfo=UTC),
}  # fmt: skip


def score(**changes: Any) -> dict[str, Any]:
    """A cleared image that nobody looks at; the model's own threshold is .25."""
    return {
        "line": "L1", "part_number": "A", "probability": 0.125, "threshold": 0.25,
        "decision": "pass", "reason": None, "review": None, "review_probability": 0.032,
        "in_training_window": False,
    } | changes  # fmt: skip


def said(then: Circumstances | None = None, **changes: Any) -> list[str]:
    own = then or Circumstances(manifest=MANIFEST, stop=None, cap=None)
    return explained.sentences(score(**changes), own)


def test_a_cleared_image_that_nobody_looks_at() -> None:
    assert said() == [
        "Its score, 0.125, lies below the threshold, 0.25: cleared.",
        "Nobody looks: it was cleared, and neither control board nor audit drew it, "
        "which had a chance of 3.2%.",
    ]


@pytest.mark.parametrize(
    ("changes", "looks"),
    [
        ({"review": "audit"}, "An operator looks: an audit drew it from all that was cleared."),
        (
            {"review": "audit_high"},
            "An operator looks: an audit drew it from the cleared images with the highest scores.",
        ),
        (
            {"review": "control"},
            "An operator looks: it is of a control board, drawn by its id, of which every image is "
            "looked at whatever its score.",
        ),
        (
            {"review": "decision"},
            "An operator looks: an earlier gate asked for it (decision), and that stays so.",
        ),
        (
            {"review": "decision", "decision": "fail", "probability": 0.3},
            "An operator looks: it wasn't cleared.",
        ),
    ],
)
def test_why_an_operator_looks(changes: dict[str, Any], looks: str) -> None:
    assert said(**changes)[-1] == looks


def test_an_image_that_cant_be_scored_says_why() -> None:
    found: dict[str, Any] = {"decision": "unscorable", "review": "unscorable", "probability": None}

    assert said(reason="golden_missing", **found) == [
        "It can't be scored: golden_missing.",
        "An operator looks: nothing is cleared that has no score.",
    ]
    assert said(**found)[0] == "It can't be scored: its score is no number."


def test_what_the_model_has_never_seen_is_named() -> None:
    assert said(part_number="C", threshold=0.0, decision="fail", review="unseen") == [
        "Its score, 0.125, doesn't lie below the threshold, 0: not cleared.",
        "The model was trained without part number C, so the threshold is 0.",
        "An operator looks: nothing bounds the slips of what the model has never seen.",
    ]


@pytest.mark.parametrize(
    ("then", "threshold", "lowered"),
    [
        (
            Circumstances(manifest=MANIFEST, stop=STOP, cap=None),
            0.0,
            "Clearing of line L1 was stopped by anna at 2026-03-02 05:30 UTC: new paste.",
        ),
        (
            Circumstances(manifest=MANIFEST, stop=STOP | {"line": None}, cap=None),
            0.0,
            "Clearing of all lines was stopped by anna at 2026-03-02 05:30 UTC: new paste.",
        ),
        (
            Circumstances(manifest=MANIFEST, stop=None, cap={"night": date(2026, 3, 1)}),
            0.2,
            "The share cap of 2026-03-01 lowered the threshold from the model's own, 0.25.",
        ),
    ],
)
def test_what_lowered_the_threshold(then: Circumstances, threshold: float, lowered: str) -> None:
    assert lowered in said(then, threshold=threshold)


def test_a_model_that_clears_nothing_says_so() -> None:
    none = dataclasses.replace(MANIFEST, threshold=MANIFEST.threshold | {"value": 0.0})
    then = Circumstances(manifest=none, stop=None, cap=None)

    found = said(then, threshold=0.0, decision="fail", review="decision")
    assert found[1] == "The model's own threshold is 0: it clears nothing."


def test_an_image_of_the_training_days_says_so() -> None:
    assert said(in_training_window=True)[-1] == (
        "The model was trained on this day, and may know the verdict."
    )


def test_an_image_that_no_run_has_scored_goes_to_an_operator() -> None:
    then = Circumstances(manifest=None, stop=None, cap=None)

    assert explained.sentences(None, then) == [
        "No run has scored it yet, so it goes to an operator."
    ]


@pytest.mark.parametrize(
    ("verdict", "decision", "outcome"),
    [
        ("fail", "pass", "fail (bridge, open): a slip"),
        ("fail", "fail", "fail (bridge, open): a defect that wasn't cleared"),
        ("fail", "unscorable", "fail (bridge, open)"),
        ("pass", "pass", "pass: rightly cleared"),
        ("pass", "fail", "pass: a false call that wasn't cleared"),
        (None, "pass", "no verdict"),
    ],
)
def test_what_a_verdict_makes_of_a_decision(
    verdict: str | None, decision: str, outcome: str
) -> None:
    kinds = "bridge|open" if verdict == "fail" else None
    found = {"verdict": verdict, "defects": kinds, "operators_disagree": False}

    assert explained.outcome(score(decision=decision), found) == outcome


def test_operators_who_disagree_are_told() -> None:
    found = {"verdict": "fail", "defects": None, "operators_disagree": True}

    assert explained.outcome(score(), found) == "fail, operators disagree: a slip"
    assert explained.outcome(score(), None) == "no verdict"
