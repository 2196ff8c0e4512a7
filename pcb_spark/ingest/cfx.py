"""IPC-CFX messages: what ``UnitsInspected`` says of a unit's defects, as rows of a verdict file.

An inspection machine sends ``CFX.Production.TestAndInspection.UnitsInspected`` with every flag
not yet verified, and again once an operator has looked (IPC-2591, structures InspectedUnit,
Inspection, Defect and VerificationResult).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pcb_spark.core import names

MESSAGE: Final = "CFX.Production.TestAndInspection.UnitsInspected"
#: VerificationResult, by name and by its number in messages of older libraries.
_VERDICTS: Final = {
    "DefectConfirmed": names.VERDICT_FAIL, "1": names.VERDICT_FAIL,
    "DefectRejected": names.VERDICT_PASS, "2": names.VERDICT_PASS,
    "NotVerifiedYet": None, "0": None, "": None,
}  # fmt: skip

Row = dict[str, str | None]


def is_message(value: object) -> bool:
    """Say whether a JSON value is a CFX message, of any kind, or the body of UnitsInspected."""
    return isinstance(value, Mapping) and ("MessageName" in value or "InspectedUnits" in value)


def rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """One row a unit and position, with ``board_id`` and ``position`` in place of a path.

    A defect's own verification counts before its inspection's and its unit's. Those above speak
    for a defect where they reject it, which holds for all below, or confirm the only one there is:
    a confirmed unit with three flags doesn't say which of them is true. A position is a ``fail`` if
    one of its defects is, a ``pass`` if all of them are. Messages of another kind have no rows.
    """
    body = message.get("MessageBody", message)
    if message.get("MessageName", MESSAGE) != MESSAGE or not isinstance(body, Mapping):
        return
    operator = (body.get("Inspector") or {}).get("OperatorIdentifier")
    for unit in _items(body, "InspectedUnits"):
        found: dict[str | None, list[Row]] = {}
        for row in _defects(unit):
            found.setdefault(row[names.POSITION], []).append(row)
        for position in found.values():
            sent = message.get("TimeStamp") or position[-1][names.VERIFIED_AT]
            yield _merged(position) | {names.OPERATOR_ID: operator, names.VERIFIED_AT: sent}


def _defects(unit: Mapping[str, Any]) -> Iterator[Row]:
    inspections = [one for one in _items(unit, "Inspections") if not _passed(one)]
    flags = sum(max(1, len(_items(one, "DefectsFound"))) for one in inspections)
    for inspection in inspections:
        defects = _items(inspection, "DefectsFound") or [{}]
        above = ((inspection, len(defects)), (unit, flags))
        for defect in defects:
            component = defect.get("ComponentOfInterest") or {}
            yield {
                names.BOARD_ID: unit.get("UnitIdentifier"),
                names.POSITION: component.get("ReferenceDesignator")
                or inspection.get("InspectionName"),
                names.PART_NUMBER: component.get("PartNumber"),
                names.VERDICT: _verdict(defect, above),
                names.DEFECTS: defect.get("DefectCode"),
                names.VERIFIED_AT: inspection.get("InspectionEndTime"),
            }


def _passed(inspection: Mapping[str, Any]) -> bool:
    """Whether the machine flagged nothing, so that there is nothing to verify."""
    return inspection.get("Result") == "Passed" and not _items(inspection, "DefectsFound")


def _verdict(
    defect: Mapping[str, Any], above: Sequence[tuple[Mapping[str, Any], int]]
) -> str | None:
    verdict = _mapped(defect)
    for level, flags in above:
        said = _mapped(level)
        if verdict is None and (said != names.VERDICT_FAIL or flags == 1):
            verdict = said
    return verdict


def _mapped(level: Mapping[str, Any]) -> str | None:
    """A level's verification; what CFX doesn't know is passed on, and rejected as unknown."""
    said = level.get("Verification")
    text = "" if said is None else str(said)
    return _VERDICTS.get(text, text)


def _merged(defects: Sequence[Row]) -> Row:
    verdicts = [row[names.VERDICT] for row in defects]
    verdict = verdicts[0] if len(set(verdicts)) == 1 else None
    if names.VERDICT_FAIL in verdicts:
        verdict = names.VERDICT_FAIL
    codes = [
        row[names.DEFECTS] for row in defects if row[names.VERDICT] == verdict == names.VERDICT_FAIL
    ]
    named = "|".join(dict.fromkeys(code for code in codes if code))
    return defects[0] | {names.VERDICT: verdict, names.DEFECTS: named or None}


def _items(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
