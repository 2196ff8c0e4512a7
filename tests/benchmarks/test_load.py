from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import load
from tests import edge
from tests.rows import rendered_pairs

BOTH = Counter({"a": 3, "b": 4})


def outcome(**told: object) -> load.Outcome:
    found = load.Outcome(statuses=Counter({200: 7, 503: 9}), models=BOTH, resident=[100.0] * 20)
    for name, value in told.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, []),
        ({"statuses": Counter({200: 7, 500: 1})}, ["other answers: {500: 1}"]),
        ({"statuses": Counter({200: 7, 0: 2})}, ["other answers: {0: 2}"]),
        ({"mixed": 1}, ["decisions of no model: 1"]),
        ({"rude": 2}, ["503 without Retry-After: 2"]),
        ({"models": Counter({"a": 7})}, ["models that decided: 1, not 2"]),
        ({"resident": [float(mb) for mb in range(100, 200, 5)]}, ["memory grew to 1.47 times"]),
    ],
)
def test_what_must_not_be_is_told(told: dict[str, object], said: list[str]) -> None:
    assert outcome(**told).faults == said


def answer(model: str, probability: float) -> bytes:
    result = {"probability": probability, "decision": "pass"}
    return json.dumps({"model_sha256": model, "results": [result]}).encode()


def test_a_decision_counts_for_the_model_that_the_answer_names() -> None:
    expected = {"a": [(0.25, "pass")], "b": [(0.5, "pass")]}
    found = load.Outcome()
    for status, headers, said in (
        (200, {}, answer("a", 0.25)), (200, {}, answer("b", 0.5)), (200, {}, answer("b", 0.25)),
        (503, {"Retry-After": "1"}, b""), (503, {}, b""),
    ):  # fmt: skip
        load.note(found, status, headers, said, expected, 0, 3.0)
    assert found.models == {"a": 1, "b": 2}
    assert (found.mixed, found.rude, found.statuses) == (1, 1, {200: 3, 503: 2})


@pytest.mark.slow
def test_a_model_is_swapped_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    rate, found = load.load(edge.model(), rendered_pairs(6), tmp_path, 4)
    assert rate > 0
    assert [fault for fault in found.faults if "memory" not in fault] == []
    assert found.statuses[200] > 0
