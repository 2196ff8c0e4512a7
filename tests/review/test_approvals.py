from __future__ import annotations

from typing import TYPE_CHECKING

from pcb_spark.review import approvals, queue
from tests import reviews

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def test_what_one_of_two_found_bad_is_no_candidate(store: Engine) -> None:
    queue.load(store, [reviews.item("a"), reviews.item("b")])
    reviews.said_by(store, "a", {"anna": "DefectRejected", "ben": "DefectConfirmed"})
    reviews.said_by(store, "b", {"anna": "DefectRejected", "ben": "DefectAccepted"})

    assert [each["item_id"] for each in approvals.candidates(store)] == ["b"]
