"""Figures of groups: never of fewer than five people, nor of what fewer than five others leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pcb_spark.review import groups, queue
from pcb_spark.review.groups import Group
from tests import reviews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

TOMORROW = datetime.now(UTC) + timedelta(days=1)
BLUE = {f"blue-{n}" for n in range(5)}
RED = {f"red-{n}" for n in range(5)}
UNTOLD = Group(name="blue", fail=None, passed=None, unsure=None)


def say(store: Engine, item: str, people: Sequence[str], *states: str) -> None:
    """Somebody says each state of one item, one person after the other."""
    queue.load(store, [reviews.item(item)])
    reviews.said_by(store, item, dict(zip(people, states, strict=True)))


def blue(store: Engine, now: datetime = TOMORROW) -> Group:
    (found,) = groups.figures(store, {"blue": BLUE}, now, disagreements=False).groups
    return found


def test_what_five_people_said_is_counted(store: Engine) -> None:
    for number, who in enumerate(sorted(BLUE)):
        say(store, f"i{number}", [who], "DefectConfirmed" if number < 2 else "DefectRejected")
    say(store, "u", ["blue-0"], "Unsure")

    assert blue(store) == Group(name="blue", fail=2, passed=3, unsure=1)
    assert blue(store, datetime.now(UTC)) == UNTOLD, "today isn't over"


def test_four_people_of_a_group_are_not_told_of(store: Engine) -> None:
    for number, who in enumerate(sorted(BLUE)[:4]):
        say(store, f"i{number}", [who], "DefectRejected")

    assert blue(store) == UNTOLD


def test_a_group_that_leaves_fewer_than_five_others_is_not_told_of(store: Engine) -> None:
    for number, who in enumerate(sorted(BLUE | {"red-0"})):
        say(store, f"i{number}", [who], "DefectRejected")
    assert blue(store) == UNTOLD

    for number, who in enumerate(sorted(RED)):
        say(store, f"j{number}", [who], "DefectConfirmed")
    assert blue(store) == Group(name="blue", fail=0, passed=5, unsure=0)


@pytest.mark.parametrize(("people", "told"), [(5, (1, 4)), (4, (None, None))])
def test_disagreements_are_those_of_five_people_at_least(
    store: Engine, people: int, told: tuple[int | None, int | None]
) -> None:
    who = [f"p{n % people}" for n in range(8)]
    say(store, "a", who[0:2], "DefectConfirmed", "DefectRejected")
    say(store, "b", who[2:4], "DefectConfirmed", "DefectRepaired")
    say(store, "c", who[4:6], "DefectRejected", "DefectAccepted")
    say(store, "d", who[6:8], "DefectRejected", "DefectRejected")
    say(store, "e", ["p0"], "DefectRejected")

    found = groups.figures(store, {}, TOMORROW, disagreements=True)
    assert (found.differ, found.twice) == told
    off = groups.figures(store, {}, TOMORROW, disagreements=False)
    assert (off.differ, off.twice, off.groups) == (None, None, [])


def test_a_spreadsheet_of_groups_holds_no_formula(store: Engine) -> None:
    found = groups.figures(store, {"=cmd": BLUE}, TOMORROW, disagreements=False)
    _, row = groups.table(found)

    assert (row[0], row[3:]) == ("'=cmd", ["", "", ""])
