"""What ``make loop`` counts, on accounts that are written here."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from faults import loop_drop
from faults.loop_checks import DayAfter, Loop, Model, checks, cleared
from faults.loop_drop import Truth

#: Three images arrived; one was cleared, and is a defect; two were asked for.
CLOSED = Loop(
    truth={"B1 R1": "pass", "B1 R2": "fail", "B1 R3": "fail"},
    arrived={"B1 R1", "B1 R2", "B1 R3"},
    decided=[("B1 R1", "fail"), ("B1 R2", "fail"), ("B1 R3", "pass")],
    asked={"B1 R1", "B1 R2"},
    queued=["B1 R1", "B1 R2"],
    pressed={"B1 R1": "pass", "B1 R2": "fail"},
    stored=[("B1 R2", "fail"), ("B1 R1", "pass")],
    taken_in={"B1 R1": "pass", "B1 R2": "fail"},
    champion=Model(version="1", images=100),
    challenger=Model(version="2", images=102),
    promoted=True,
    last_promotion="2",
    known_caught=1,
    known_shown=1,
)


#: Four images of the day after; the lead had stopped L1 and approved a golden image of B3 R1.
AFTER = DayAfter(
    arrived={"B2 R1", "B2 R2", "B3 R1", "B3 R2"},
    stopped="L1",
    decided=[("L1", "fail"), ("L1", "fail"), ("L2", "pass"), ("L2", "fail")],
    again={"B3 R1"},
    references=["file:/drop/references/approved-7f.jpg"],
)


def broken(**changes: Any) -> list[str]:
    return [each.told for each in checks(dataclasses.replace(CLOSED, **changes)) if not each.ok]


def test_a_loop_that_was_closed_has_nothing_against_it() -> None:
    assert broken() == []
    assert broken(promoted=False, last_promotion="1", refusals=["it clears less"]) == []
    assert cleared(CLOSED) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decided": CLOSED.decided[:2]}, "2 decisions of 3 images, each once"),
        ({"decided": [*CLOSED.decided, ("B1 R1", "fail")]}, "4 decisions of 3 images"),
        ({"asked": {"B1 R1", "B1 R2", "B1 R3"}}, "2 images in the queue, the 3"),
        ({"at_the_page": ["B1 R1 was shown to two at once"]}, "2 of 2 decided at the browser"),
        ({"stored": [*CLOSED.stored, ("B1 R1", "pass")]}, "3 verdicts in the store, each once"),
        ({"stored": [("B1 R1", "pass"), ("B1 R2", "pass")]}, "2 verdicts in the store"),
        ({"taken_in": {"B1 R1": "pass"}}, "1 verdicts of the store taken in"),
        ({"truth": {**CLOSED.truth, "B1 R2": "pass"}}, "every verdict is what the board truly has"),
        ({"known_caught": 0}, "0 of 1 known defects found"),
        ({"challenger": Model(version="2", images=101)}, "version 2 learnt from 101 verified"),
        ({"last_promotion": "1"}, "the record's champion is version 1: the challenger was prom"),
        ({"refusals": ["it clears less"]}, "the record's champion is version 2"),
        ({"promoted": False, "last_promotion": "1"}, "the record's champion is version 1"),
    ],
)  # fmt: skip
def test_what_is_broken_is_told(changes: dict[str, Any], told: str) -> None:
    found = broken(**changes)

    assert any(each.startswith(told) for each in found), found


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"decided": [("L1", "pass"), *AFTER.decided[1:]]}, "the day after 1 of 2 images of L1"),
        ({"decided": AFTER.decided[:3]}, "the day after 0 of 2 images of L1 cleared"),
        ({"stopped": "L3"}, "the day after 0 of 0 images of L3"),
        ({"decided": [("L1", "fail")] * 2 + [("L2", "fail")] * 2}, "the day after 0 of 2"),
        ({"references": ["file:/drop/references/A7_R1.jpg"]}, "0 of 1 images compared with"),
        ({"again": set(), "references": []}, "0 of 0 images compared with"),
    ],
)  # fmt: skip
def test_what_is_broken_of_the_day_after_is_told(changes: dict[str, Any], told: str) -> None:
    assert broken(day_after=AFTER) == []

    found = broken(day_after=dataclasses.replace(AFTER, **changes))

    assert len(found) == 1
    assert found[0].startswith(told)


def test_operators_see_the_place_and_press_the_kind() -> None:
    where = "line L2 · lot D1L06 · board D1L06-001 · C2"

    assert loop_drop.seen(where) == "D1L06-001 C2"
    assert loop_drop.keys_of(Truth("pass", ""), ["bridge", "missing"]) == "p"
    assert loop_drop.keys_of(Truth("fail", "missing"), ["bridge", "missing"]) == "2f"
    with pytest.raises(ValueError, match="names no place"):
        loop_drop.seen("Loading")


def test_the_last_days_come_later_and_without_verdicts(tmp_path: Path) -> None:
    plant = loop_drop.Plant(tmp_path / "rendered", tmp_path / "drop", images=40, weeks=1, seed=3)
    first, last = plant.days[0], plant.days[-1]
    plant.deliver([first], verified=[first])
    assert verdicts(plant) == {first: True}
    plant.deliver([last], verified=[first])

    assert verdicts(plant)[first] is True
    assert verdicts(plant)[last] is False
    there = {path.parent.name for path in (plant.drop / "images").rglob("*.jpg")}
    assert there == {f"date={first}", f"date={last}"}
    assert len(plant.places([first, last])) == len(list((plant.drop / "images").rglob("*.jpg")))


def verdicts(plant: loop_drop.Plant) -> dict[str, bool]:
    """Whether the images of a day have verdicts, all of them or none."""
    with (plant.drop / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, set[bool]] = {}
    for row in rows:
        found.setdefault(row["captured_at"][:10], set()).add(bool(row["verdict"]))
    return {day: told.pop() for day, told in found.items() if len(told) == 1}
