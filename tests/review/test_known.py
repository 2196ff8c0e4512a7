from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import verifications
from pcb_spark.review import exports, known, queue, verdicts
from tests import reviews
from tests.reviews import ANNA

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

SINCE = "2026"


@pytest.fixture
def shown(store: Engine) -> queue.Granted:
    """A known defect before an item."""
    queue.load(store, [reviews.item("a"), reviews.item("k", "B9", known_defect=True)])
    granted, _ = queue.grant(store, ANNA, held=[], want=9, seconds=60)
    assert [each.item_id for each in granted] == ["a"]
    first, second = known.mix(store, ANNA, granted, 1.0, random.Random(1))
    assert second.item_id == "a"
    return first


def test_a_known_defect_has_its_pictures_under_another_name(
    store: Engine, shown: queue.Granted
) -> None:
    assert (shown.board_id, shown.second_opinion) == ("B9", False)
    assert shown.item_id != "k"
    assert queue.pictures(store, shown.item_id) == reviews.pictures()


@pytest.mark.parametrize(
    ("state", "caught"),
    [
        ("DefectConfirmed", (1, 1)),
        ("Unsure", (1, 1)),
        ("DefectRejected", (0, 1)),
        ("NotVerifiedYet", (0, 0)),
    ],
)
def test_the_answer_is_counted_and_is_no_verdict(
    store: Engine, shown: queue.Granted, state: str, caught: tuple[int, int]
) -> None:
    entry = reviews.entry(shown.item_id, state)

    assert known.answer(store, ANNA, entry)
    assert known.answer(store, ANNA, entry)
    assert known.caught(store, SINCE) == caught
    assert list(exports.said(store)) == []


def test_an_answer_is_taken_back(store: Engine, shown: queue.Granted) -> None:
    entry = reviews.entry(shown.item_id, verifications.REJECTED)
    known.answer(store, ANNA, entry)
    undo = reviews.entry(shown.item_id, verdicts.UNDO, undoes=entry.entry_id)
    known.answer(store, ANNA, undo)
    known.answer(store, ANNA, undo)

    assert known.caught(store, SINCE) == (0, 0)
    assert known.still_shown(store, ANNA, [shown.item_id]) == [shown.item_id]


def test_what_nobody_answered_is_forgotten_with_its_page(
    store: Engine, shown: queue.Granted
) -> None:
    known.release(store, ANNA)

    assert known.still_shown(store, ANNA, [shown.item_id]) == []
    assert not known.answer(store, ANNA, reviews.entry(shown.item_id, verifications.REJECTED))


def test_an_item_of_the_queue_is_none(store: Engine, shown: queue.Granted) -> None:
    assert shown.item_id != "a"
    assert not known.answer(store, ANNA, reviews.entry("a", verifications.REJECTED))


def test_without_known_defects_nothing_is_mixed_in(store: Engine) -> None:
    queue.load(store, [reviews.item("a")])
    granted, _ = queue.grant(store, ANNA, held=[], want=9, seconds=60)

    assert known.mix(store, ANNA, granted, 1.0, random.Random(1)) == granted
