from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from pcb_spark.core import verifications
from pcb_spark.review import database, exports, queue, tables, verdicts
from tests import reviews
from tests.reviews import ANNA, BEN

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


@pytest.fixture
def store_of_two(store: Engine) -> Engine:
    queue.load(store, [reviews.item("a"), reviews.item("b")])
    return store


def said(store: Engine) -> list[tuple[str, str, str | None]]:
    return [(e["item_id"], e["verdict"], e["defects"]) for e in exports.said(store)]


def rows(store: Engine) -> int:
    with database.reading(store) as connection:
        found = connection.scalar(sa.select(sa.func.count()).select_from(tables.ENTRIES))
    return int(found or 0)


def given(store: Engine, page: queue.Page) -> list[str]:
    granted, _ = queue.grant(store, page, held=[], want=9, seconds=60)
    return [each.item_id for each in granted]


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("DefectRejected", "pass"),
        ("DefectAccepted", "pass"),
        ("DefectConfirmed", "fail"),
        ("DefectRepaired", "fail"),
        ("DefectClosed", "fail"),
    ],
)
def test_each_state_is_a_verdict_as_ingest_reads_it(
    store_of_two: Engine, state: str, verdict: str
) -> None:
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", state))

    assert said(store_of_two) == [("a", verdict, None)]
    assert given(store_of_two, BEN) == ["b"]


def test_a_request_that_is_repeated_changes_nothing(store_of_two: Engine) -> None:
    entry = reviews.entry("a", verifications.CONFIRMED, defects=("open", "short"))
    for _ in range(3):
        verdicts.enter(store_of_two, ANNA, entry)

    assert said(store_of_two) == [("a", "fail", "open|short")]
    assert rows(store_of_two) == 1


def test_an_id_stands_for_one_thing(store_of_two: Engine) -> None:
    entry = reviews.entry("a", verifications.CONFIRMED)
    verdicts.enter(store_of_two, ANNA, entry)
    other = verdicts.Entry(entry_id=entry.entry_id, item_id="a", state=verifications.REJECTED)

    with pytest.raises(verdicts.Declined, match="says something else"):
        verdicts.enter(store_of_two, ANNA, other)
    with pytest.raises(verdicts.Declined, match="says something else"):
        verdicts.enter(store_of_two, BEN, entry)
    assert said(store_of_two) == [("a", "fail", None)]


def test_an_undo_is_a_row_of_its_own_and_its_page_has_the_item_again(
    store_of_two: Engine,
) -> None:
    wrong = reviews.entry("a", verifications.CONFIRMED)
    verdicts.enter(store_of_two, ANNA, wrong)
    undo = reviews.entry("a", verdicts.UNDO, undoes=wrong.entry_id)
    for _ in range(2):
        verdicts.enter(store_of_two, ANNA, undo)

    assert said(store_of_two) == []
    assert given(store_of_two, BEN) == ["b"]
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verifications.REJECTED))
    assert said(store_of_two) == [("a", "pass", None)]
    assert rows(store_of_two) == 3


def test_nobody_takes_back_what_somebody_else_said(store_of_two: Engine) -> None:
    entry = reviews.entry("a", verifications.CONFIRMED)
    verdicts.enter(store_of_two, ANNA, entry)

    with pytest.raises(verdicts.Declined, match="somebody else said this"):
        verdicts.enter(store_of_two, BEN, reviews.entry("a", "Undo", undoes=entry.entry_id))
    with pytest.raises(verdicts.Declined, match="isn't the last"):
        verdicts.enter(store_of_two, ANNA, reviews.entry("b", "Undo", undoes=entry.entry_id))


def test_a_second_opinion_is_somebody_elses(store_of_two: Engine) -> None:
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verdicts.UNSURE))

    assert given(store_of_two, ANNA) == ["b"]
    with pytest.raises(verdicts.Declined, match="somebody else's"):
        verdicts.enter(store_of_two, ANNA, reviews.entry("a", verifications.CONFIRMED))
    (second,), _ = queue.grant(store_of_two, BEN, held=[], want=9, seconds=60)
    assert (second.item_id, second.second_opinion) == ("a", True)
    verdicts.enter(store_of_two, BEN, reviews.entry("a", verifications.CONFIRMED))
    assert said(store_of_two) == [("a", "fail", None)]


def test_who_took_an_unsure_back_may_give_the_second_opinion_on_another_ones(
    store_of_two: Engine,
) -> None:
    unsure = reviews.entry("a", verdicts.UNSURE)
    verdicts.enter(store_of_two, ANNA, unsure)
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", "Undo", undoes=unsure.entry_id))
    queue.release(store_of_two, ANNA)
    verdicts.enter(store_of_two, BEN, reviews.entry("a", verdicts.UNSURE))

    assert "a" in given(store_of_two, ANNA)


def test_a_second_opinion_that_is_put_off_stays_somebody_elses(store_of_two: Engine) -> None:
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verdicts.UNSURE))
    verdicts.enter(store_of_two, BEN, reviews.entry("a", verifications.NOT_VERIFIED))

    assert given(store_of_two, ANNA) == ["b"]
    assert given(store_of_two, BEN) == ["a"]


def test_an_unsure_is_not_taken_back_once_somebody_else_has_the_item(
    store_of_two: Engine,
) -> None:
    unsure = reviews.entry("a", verdicts.UNSURE)
    verdicts.enter(store_of_two, ANNA, unsure)
    assert "a" in given(store_of_two, BEN)

    with pytest.raises(verdicts.Declined, match="somebody else has this item"):
        verdicts.enter(store_of_two, ANNA, reviews.entry("a", "Undo", undoes=unsure.entry_id))
    assert "a" not in given(store_of_two, ANNA)


def test_a_second_look_is_somebody_elses_and_nobody_is_told(store_of_two: Engine) -> None:
    first = reviews.entry("a", verifications.REJECTED)
    verdicts.enter(store_of_two, ANNA, first, second_looks=1.0)
    assert given(store_of_two, BEN) == ["b"], "it may still be taken back"

    queue.release(store_of_two, ANNA)
    assert given(store_of_two, ANNA) == []
    granted, _ = queue.grant(store_of_two, BEN, held=[], want=9, seconds=60)
    assert [(each.item_id, each.second_opinion) for each in granted] == [("a", False), ("b", False)]
    second = reviews.entry("a", verifications.CONFIRMED)
    verdicts.enter(store_of_two, BEN, second, second_looks=1.0)
    assert said(store_of_two) == [("a", "pass", None), ("a", "fail", None)]
    assert queue.left(store_of_two) == 1


def test_a_second_look_is_taken_by_who_was_asked_for_a_second_opinion(
    store_of_two: Engine,
) -> None:
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verdicts.UNSURE), second_looks=1.0)
    sure = reviews.entry("a", verifications.CONFIRMED)
    verdicts.enter(store_of_two, BEN, sure, second_looks=1.0)

    assert queue.left(store_of_two) == 1


def test_not_verified_yet_goes_to_the_end_of_the_queue(store_of_two: Engine) -> None:
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verifications.NOT_VERIFIED))

    assert said(store_of_two) == []
    assert given(store_of_two, ANNA) == ["b", "a"]


def test_a_verdict_that_comes_late_counts_unless_somebody_else_has_the_item(
    store_of_two: Engine,
) -> None:
    queue.grant(store_of_two, ANNA, held=[], want=2, seconds=-1)
    verdicts.enter(store_of_two, ANNA, reviews.entry("a", verifications.REJECTED))
    assert given(store_of_two, BEN) == ["b"]

    with pytest.raises(verdicts.Declined, match="somebody else has this item"):
        verdicts.enter(store_of_two, ANNA, reviews.entry("b", verifications.REJECTED))
    verdicts.enter(store_of_two, BEN, reviews.entry("b", verifications.CONFIRMED))
    with pytest.raises(verdicts.Declined, match="decided this item already"):
        verdicts.enter(store_of_two, ANNA, reviews.entry("b", verifications.REJECTED))


def test_an_item_that_is_none_has_no_verdict(store: Engine) -> None:
    with pytest.raises(verdicts.Declined, match="no such item"):
        verdicts.enter(store, ANNA, reviews.entry("z", verifications.REJECTED))
