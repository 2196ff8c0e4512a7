"""What an operator finds of a flag, in the words of IPC-CFX, and the verdict that each means.

IPC-2591, enumeration VerificationResult. Ingest reads messages by it, and the review page writes.
"""

from __future__ import annotations

from typing import Final

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

#: The verdict that each means; None where there is none yet.
VERDICTS: Final[dict[str, str | None]] = {
    CONFIRMED: names.VERDICT_FAIL,
    REPAIRED: names.VERDICT_FAIL,
    CLOSED: names.VERDICT_FAIL,
    REJECTED: names.VERDICT_PASS,
    ACCEPTED: names.VERDICT_PASS,
    NOT_VERIFIED: None,
}
