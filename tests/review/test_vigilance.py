"""What shifts did with known defects, of rows that are written here as the page leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pcb_spark.review import queue, tables, vigilance
from pcb_spark.review.vigilance import Vigilance
from tests import reviews

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def test_shifts_are_told_apart_and_those_of_one_person_are_not_told_alone(store: Engine) -> None:
    reviews.answered(store, "2026-03-04T07", caught=3, missed=1, people=("anna", "ben"))
    reviews.answered(store, "2026-03-04T15", caught=1, missed=1, people=("anna",))
    reviews.answered(store, "2026-03-04T02", caught=2, missed=0, people=("ben",))
    reviews.answered(store, "2026-03-03T10", caught=0, missed=9, people=("carl",))
    reviews.answered(store, "2026-03-05T08", caught=0, missed=5, people=("anna", "ben"))

    assert vigilance.by_shift(store, "UTC", NOON) == [
        Vigilance(shift="2026-03-04 early", caught=3, shown=4),
        Vigilance(shift="2026-03-04 night, late", caught=3, shown=4),
    ]


def test_what_nobody_answered_counts_for_nothing(store: Engine) -> None:
    queue.load(store, [reviews.item("k", known_defect=True)])
    with store.begin() as connection:
        row = {"item_id": "shown", "known_id": "k", "shown_at": "2026-03-04T07"}
        connection.execute(sa.insert(tables.SHOWINGS), row)

    assert vigilance.by_shift(store, "UTC", NOON) == []
