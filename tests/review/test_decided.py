from __future__ import annotations

import csv
import dataclasses
import io
import json
from datetime import UTC, datetime

import pytest

from pcb_spark.core import verifications
from pcb_spark.ingest import verdict_csv, verdict_json
from pcb_spark.ingest.verdict_form import Form
from pcb_spark.review import decided
from pcb_spark.review.decided import Flag

CLEARED = Flag(
    image_id="i1", board_id="B1", position="U7", part_number="R-0603", line="L1", lot="41",
    captured_at=datetime(2026, 3, 1, 9, tzinfo=UTC), source_uri="file:/drop/images/u7.png",
    goes_to="cleared", decided_at=datetime(2026, 3, 2, 3, tzinfo=UTC), model_version="v7",
)  # fmt: skip
LOOKED = dataclasses.replace(CLEARED, image_id="i2", position="=U8", goes_to="operator")


def test_a_message_says_what_is_still_to_be_verified() -> None:
    sent = json.loads(decided.as_cfx("B1", [CLEARED, LOOKED]))

    assert sent["MessageName"] == verifications.MESSAGE
    assert sent["TimeStamp"] == "2026-03-02T03:00:00+00:00"
    assert sent["MessageBody"]["Inspector"]["ActorType"] == "Robot"
    (unit,) = sent["MessageBody"]["InspectedUnits"]
    assert unit["UnitIdentifier"] == "B1"
    assert [
        (each["UniqueIdentifier"], each["Result"], each["DefectsFound"][0]["Verification"])
        for each in unit["Inspections"]
    ] == [("i1", "Passed", "DefectRejected"), ("i2", "Failed", "NotVerifiedYet")]


def test_ingest_reads_a_message_back_but_takes_no_decision_for_a_verdict() -> None:
    text = decided.as_cfx("B1", [CLEARED, LOOKED]).decode()
    (own,) = verdict_json.parse(text, Form())
    assert own["fault_reason"] == "message_without_verdict"
    assert own["fault"] == f"1 messages {verifications.MESSAGE} of pcb_spark itself hold no verdict"

    by_hand = text.replace('"OperatorIdentifier": "pcb_spark"', '"OperatorIdentifier": "op-anna"')
    wanted = ("board_id", "position", "part_number", "verdict", "operator_id")
    assert [tuple(row[n] for n in wanted) for row in verdict_json.parse(by_hand, Form())] == [
        ("B1", "U7", "R-0603", "pass", "op-anna"),
        ("B1", "=U8", "R-0603", None, "op-anna"),
    ]


def test_a_table_holds_no_formula_and_no_verdict() -> None:
    text = decided.as_csv("B1", [CLEARED, LOOKED]).decode()
    first, second = csv.DictReader(io.StringIO(text))

    assert (first["position"], first["goes_to"]) == ("U7", "cleared")
    assert (second["position"], second["goes_to"]) == ("'=U8", "operator")
    assert first["captured_at"] == "2026-03-01T09:00:00+00:00"
    assert not any(row.get("verdict") for row in verdict_csv.parse(text, Form()))


def test_json_holds_the_same_and_no_verdict() -> None:
    text = decided.as_json("B1", [CLEARED]).decode()

    assert json.loads(text) == {
        "board_id": "B1",
        "flags": [
            {
                "image_id": "i1",
                "board_id": "B1",
                "position": "U7",
                "part_number": "R-0603",
                "line": "L1",
                "lot": "41",
                "captured_at": "2026-03-01T09:00:00+00:00",
                "source_uri": "file:/drop/images/u7.png",
                "goes_to": "cleared",
                "decided_at": "2026-03-02T03:00:00+00:00",
                "model_version": "v7",
            }
        ],
    }
    assert not any(row.get("verdict") for row in verdict_json.parse(text, Form()))


@pytest.mark.parametrize("form", decided.FORMS)
def test_nobody_at_the_line_learns_the_score_or_why_an_operator_looks(form: str) -> None:
    text = decided.FORMS[form].write("B1", [LOOKED]).decode()

    assert not any(word in text for word in ("probability", "threshold", "control", "audit"))


def test_files_of_boards_have_names_that_every_disk_takes_and_tells_apart() -> None:
    boards = ["B1", "b1", "../B2", "Platine 7/3", "x" * 300, ".."]
    names = decided.file_names(boards)

    assert names["../B2"] == "..%2FB2"
    assert names["Platine 7/3"] == "Platine 7%2F3"
    assert len({name.casefold() for name in names.values()}) == len(boards)
    assert names["B1"].startswith("B1-")
    assert all(len(name) < 140 and "/" not in name for name in names.values())
