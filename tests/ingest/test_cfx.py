from __future__ import annotations

from typing import Any

import pytest

from pcb_spark.ingest import cfx

CONFIRMED, REJECTED, OPEN = "DefectConfirmed", "DefectRejected", "NotVerifiedYet"


def defect(position: str | None, verification: str = OPEN, code: str = "SLD") -> dict[str, Any]:
    return {
        "DefectCode": code,
        "ComponentOfInterest": {"ReferenceDesignator": position, "PartNumber": "11123-8897"},
        "Verification": verification,
    }


def inspection(*defects: dict[str, Any], verification: str = OPEN) -> dict[str, Any]:
    return {
        "InspectionName": "INSPECT_R22",
        "InspectionEndTime": "2026-01-05T06:00:09Z",
        "Result": "Failed" if defects else "Passed",
        "DefectsFound": list(defects),
        "Verification": verification,
    }


def message(*inspections: dict[str, Any], verification: str = OPEN) -> dict[str, Any]:
    unit = {
        "UnitIdentifier": "PANEL34",
        "UnitPositionNumber": 1,
        "Inspections": list(inspections),
        "Verification": verification,
    }
    return {
        "MessageName": cfx.MESSAGE,
        "TimeStamp": "2026-01-05T07:30:00Z",
        "MessageBody": {
            "InspectionMethod": "AOI",
            "Inspector": {"OperatorIdentifier": "BADGE489499"},
            "InspectedUnits": [unit],
        },
    }


def verdicts(sent: dict[str, Any]) -> list[tuple[str | None, str | None, str | None]]:
    return [(row["position"], row["verdict"], row["defects"]) for row in cfx.rows(sent)]


def test_confirmed_defect_is_a_fail_with_its_code() -> None:
    (row,) = cfx.rows(message(inspection(defect("R22", CONFIRMED, "TMBSTN211"))))
    assert row == {
        "board_id": "PANEL34",
        "unit_position": "1",
        "position": "R22",
        "part_number": "11123-8897",
        "verdict": "fail",
        "defects": "TMBSTN211",
        "operator_id": "BADGE489499",
        "verified_at": "2026-01-05T07:30:00Z",
    }


@pytest.mark.parametrize(
    ("said", "verdict", "defects"),
    [(CONFIRMED, "fail", "SLD"), (REJECTED, "pass", None), (OPEN, None, None),
     ("DefectAccepted", "pass", None), ("DefectRepaired", "fail", "SLD"),
     ("DefectClosed", "fail", "SLD"), ("1", "fail", "SLD"), ("2", "pass", None),
     ("0", None, None), ("Maybe", "Maybe", None)],
)  # fmt: skip
def test_verification_is_the_verdict(said: str, verdict: str | None, defects: str | None) -> None:
    assert verdicts(message(inspection(defect("R1", said)))) == [("R1", verdict, defects)]


def test_position_fails_if_one_of_its_defects_is_true() -> None:
    sent = message(inspection(defect("R1", REJECTED, "A"), defect("R1", CONFIRMED, "B")))
    assert verdicts(sent) == [("R1", "fail", "B")]


def test_position_passes_only_if_all_of_its_defects_were_rejected() -> None:
    sent = message(inspection(defect("R1", REJECTED), defect("R1", OPEN)))
    assert verdicts(sent) == [("R1", None, None)]


def test_rejected_unit_rejects_every_defect() -> None:
    sent = message(inspection(defect("R1")), inspection(defect("R2")), verification=REJECTED)
    assert verdicts(sent) == [("R1", "pass", None), ("R2", "pass", None)]


def test_confirmed_unit_does_not_say_which_defect_is_true() -> None:
    two = message(inspection(defect("R1")), inspection(defect("R2")), verification=CONFIRMED)
    assert verdicts(two) == [("R1", None, None), ("R2", None, None)]
    one = message(inspection(defect("R1")), inspection(), verification=CONFIRMED)
    assert verdicts(one) == [("R1", "fail", "SLD")]


def test_defect_counts_before_its_inspection() -> None:
    sent = message(inspection(defect("R1", REJECTED), verification=CONFIRMED))
    assert verdicts(sent) == [("R1", "pass", None)]


def test_defect_without_a_component_takes_the_inspections_name() -> None:
    assert verdicts(message(inspection(defect(None, CONFIRMED))))[0][0] == "INSPECT_R22"


def test_inspection_that_found_nothing_has_no_verdict() -> None:
    assert verdicts(message(inspection())) == []


def test_message_without_a_time_has_that_of_its_inspection() -> None:
    sent = message(inspection(defect("R1", CONFIRMED)))
    del sent["TimeStamp"]
    assert [row["verified_at"] for row in cfx.rows(sent)] == ["2026-01-05T06:00:09Z"]


def test_body_alone_is_read_too() -> None:
    body = message(inspection(defect("R1", CONFIRMED)))["MessageBody"]
    assert cfx.is_message(body)
    assert verdicts(body) == [("R1", "fail", "SLD")]


@pytest.mark.parametrize(
    "sent",
    [
        {"MessageName": "CFX.Heartbeat", "MessageBody": {}},
        {"MessageName": cfx.MESSAGE, "MessageBody": None},
        {"MessageName": cfx.MESSAGE, "MessageBody": {"InspectedUnits": None}},
    ],
)
def test_message_that_says_nothing_of_units(sent: dict[str, Any]) -> None:
    assert cfx.is_message(sent)
    assert verdicts(sent) == []
