from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import verifications
from pcb_spark.ingest import verdict_json
from pcb_spark.ingest.verdict_form import Form
from pcb_spark.review import exports, queue, shift, verdicts
from tests import reviews
from tests.reviews import ANNA, BEN

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


@pytest.fixture
def shift_of_three(store: Engine) -> Engine:
    """A true defect that the model had cleared, a false call, and one that nobody knows."""
    audited = {"decision": "pass", "review": "audit"}
    queue.load(store, [reviews.item("a", **audited), reviews.item("b"), reviews.item("c")])
    entry = reviews.entry(
        "a", verifications.CONFIRMED, defects=("open", "short"), comment="=joint at pin 3"
    )
    verdicts.enter(store, ANNA, entry)
    verdicts.enter(store, BEN, reviews.entry("b", verifications.ACCEPTED))
    verdicts.enter(store, BEN, reviews.entry("c", verdicts.UNSURE))
    return store


def test_rows_are_those_of_a_verdict_file(shift_of_three: Engine) -> None:
    text = exports.json_lines(map(exports.row_of, exports.said(shift_of_three))).decode()
    found = list(verdict_json.parse(text, Form()))

    assert [(r["image"], r["verdict"], r["defects"], r["operator_id"]) for r in found] == [
        ("file:/drop/images/a.png", "fail", "open|short", "op-anna"),
        ("file:/drop/images/b.png", "pass", None, "op-ben"),
    ]


def test_messages_are_read_as_ingest_reads_those_of_others(shift_of_three: Engine) -> None:
    text = exports.json_lines(map(exports.message_of, exports.said(shift_of_three))).decode()
    found = list(verdict_json.parse(text, Form()))

    wanted = ("board_id", "position", "part_number", "verdict", "defects", "operator_id")
    assert [tuple(row[name] for name in wanted) for row in found] == [
        ("B1", "A", "R-0603", "fail", "open|short", "op-anna"),
        ("B1", "B", "R-0603", "pass", None, "op-ben"),
    ]


def test_a_spreadsheet_names_nobody_and_holds_no_formula(shift_of_three: Engine) -> None:
    header, first, second = exports.table(shift_of_three, "")

    assert "operator_id" not in header
    assert first[:8] == ["L1", "41", "B1", "A", "R-0603", "fail", "DefectConfirmed", "open|short"]
    assert first[8] == "'=joint at pin 3"
    assert second[7:9] == ["", ""]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_begins_like_a_formula_is_text(text: str) -> None:
    assert exports.plain(text) == f"'{text}"


def test_the_lead_sees_what_was_found_where(shift_of_three: Engine) -> None:
    found = shift.figures(shift_of_three, "")

    assert (found.waiting, found.second_opinions) == (1, 1)
    assert found.oldest == "2026-01-05T08:00:00.000000+00:00"
    assert found.decided == {"DefectConfirmed": 1, "DefectAccepted": 1}
    assert found.slips == 1
    assert found.positions == [shift.Bar("A", 1, 0), shift.Bar("B", 0, 1)]
    assert found.part_numbers == [shift.Bar("R-0603", 1, 1)]
    assert found.kinds == [shift.Bar("open", 1, 0), shift.Bar("short", 1, 0)]
    assert shift.figures(shift_of_three, "2999").decided == {}
