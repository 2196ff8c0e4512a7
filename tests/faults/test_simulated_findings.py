"""What is wrong with simulated nights, by findings that are written by hand."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pandas as pd
import pytest

from faults.simulated_days import Plan
from faults.simulated_findings import Found, Story, check
from pcb_spark.learning.rates import Rate

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 1, day) for day in (5, 6, 7))
PLAN = Plan(training=0, days=3, dark=range(1, 3), missed=range(0))
STORY = Story(better=0, worse=1, by_command=None)
PROMOTED = "version 2 is champion in place of version 1; the next night scores with it"
SAID = {"better 2026-01-05": [PROMOTED], "worse 2026-01-06": ["refused: it clears less"]}


def alarm(day: date, line: str | None, level: str = "alarm") -> dict[str, Any]:
    return {
        "capture_date": day, "line": line, "level": level, "number": "brightness",
        "statistic": "mean", "value": 40.0, "expected": 70.0,
    }  # fmt: skip


FOUND = Found(
    plan=PLAN,
    days=pd.DataFrame(
        {"images": 80, "cleared": 40, "shown": 45, "defects": 25, "slips": [0, 1, 1],
         "gated": 20, "gated_slips": [0, 1, 1]},
        index=[MONDAY, TUESDAY, WEDNESDAY],
    ),
    doubled=0,
    missing=[],
    estimates=pd.DataFrame(),
    estimate=Rate(0.02, 0.01, 0.06, 40),
    told=pd.DataFrame([alarm(WEDNESDAY, "L1"), alarm(MONDAY, "L2", "warn")]),
    champions={MONDAY: "1"},
)  # fmt: skip


def found(**changes: Any) -> Found:
    return dataclasses.replace(FOUND, **changes)


def test_nights_as_they_have_to_be_have_no_fault() -> None:
    assert check(FOUND, STORY, SAID) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"missing": [TUESDAY]}, "2026-01-06 isn't decided whole"),
        ({"days": FOUND.days.drop(WEDNESDAY)}, "2026-01-07 isn't decided whole"),
        ({"doubled": 2}, "2 images were decided twice"),
        ({"days": FOUND.days.assign(slips=2)}, "8.0% of all defects slipped, 5% promised"),
        (
            {"days": FOUND.days.assign(gated_slips=3)},
            "15.0% of defects slipped behind the gate, outside of the 1.0% to 6.0% that were told",
        ),
        (
            {"told": pd.DataFrame([alarm(TUESDAY, "L1", "warn")])},
            "L1 darkened on 2026-01-06, and no alarm named it within two nights",
        ),
        (
            {"told": pd.DataFrame([alarm(TUESDAY, "L1"), alarm(WEDNESDAY, "L2")])},
            "an alarm of 2026-01-07 names L2: brightness mean 40 for 70",
        ),
        (
            {"told": pd.DataFrame([alarm(TUESDAY, "L1"), alarm(MONDAY, None)])},
            "an alarm of 2026-01-05 names no line: brightness mean 40 for 70",
        ),
    ],
)
def test_what_is_broken_is_named(changes: dict[str, Any], fault: str) -> None:
    assert check(found(**changes), STORY, SAID) == [fault]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"better 2026-01-05": ["refused: slips"]}, "the better challenger was refused"),
        ({"worse 2026-01-06": [PROMOTED]}, "the worse challenger was promoted"),
        (
            {"night 2026-01-07": ["unlike the command: scores: 1 rows missing, 0 too many"]},
            "night 2026-01-07 is unlike the command: scores: 1 rows missing, 0 too many",
        ),
    ],
)
def test_steps_that_went_otherwise_are_named(said: dict[str, list[str]], fault: str) -> None:
    assert check(FOUND, STORY, {**SAID, **said}) == [fault]
