"""What an operator finds of a flag, in the words of IPC-CFX, and the verdict that each means.

IPC-2591, enumeration VerificationResult. Ingest reads messages by it, and the review page writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pcb_spark.core import names

#: The message that tells it.
MESSAGE: Final = "CFX.Production.TestAndInspection.UnitsInspected"
NOT_VERIFIED: Final = "NotVerifiedYet"
CONFIRMED: Final = "DefectConfirmed"
REPAIRED: Final = "DefectRepaired"
CLOSED: Final = "DefectClosed"
REJECTED: Final = "DefectRejected"
#: A false call, though one for which the process needs attention.
ACCEPTED: Final = "DefectAccepted"

#: Who inspects where this program decides; what it says is a decision, and never a verdict.
GATE: Final[dict[str, str]] = {"OperatorIdentifier": "pcb_spark", "ActorType": "Robot"}

#: The verdict that each means; None where there is none yet.
VERDICTS: Final[dict[str, str | None]] = {
    CONFIRMED: names.VERDICT_FAIL,
    REPAIRED: names.VERDICT_FAIL,
    CLOSED: names.VERDICT_FAIL,
    REJECTED: names.VERDICT_PASS,
    ACCEPTED: names.VERDICT_PASS,
    NOT_VERIFIED: None,
}


def message(
    inspector: dict[str, str], board_id: str, inspections: Sequence[dict[str, Any]], *, sent: str
) -> dict[str, Any]:
    """A message of inspections of one board.

    Parameters
    ----------
    sent : ISO 8601.
    """
    unit = {"UnitIdentifier": board_id, "Inspections": [*inspections]}
    body = {"Inspector": inspector, "InspectedUnits": [unit]}
    return {"MessageName": MESSAGE, "TimeStamp": sent, "MessageBody": body}


def inspection(
    identifier: str,
    *,
    position: str | None,
    ended: str,
    passed: bool,
    defects: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """What was found at one position, the reference designator; ``defects`` as ``defect`` gives."""
    return {
        "UniqueIdentifier": identifier,
        "InspectionName": position,
        "InspectionEndTime": ended,
        "Result": "Passed" if passed else "Failed",
        "DefectsFound": [*defects],
    }


def defect(
    code: str | None,
    verification: str,
    *,
    position: str | None,
    part_number: str | None,
    comment: str | None = None,
) -> dict[str, Any]:
    """A flag at a position, and what became of it."""
    return {
        "DefectCode": code,
        "Verification": verification,
        "Comments": [comment] if comment else [],
        "ComponentOfInterest": {"ReferenceDesignator": position, "PartNumber": part_number},
    }
