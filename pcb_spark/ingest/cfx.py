"""IPC-CFX messages: what ``UnitsInspected`` says of a unit's defects, as rows of a verdict file.

An inspection machine sends ``CFX.Production.TestAndInspection.UnitsInspected`` with every flag
not yet verified, and again once an operator has looked (IPC-2591, structures InspectedUnit,
Inspection, Defect and VerificationResult).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pcb_spark.core import names, verifications
from pcb_spark.ingest.verdict_form import OF_PANEL, UNIT_POSITION, Malformed, Row, faulty_row

MESSAGE: Final = verifications.MESSAGE
_IDENTIFIER: Final = "OperatorIdentifier"
#: VerificationResult, by name and by its number in messages of older libraries.
_VERDICTS: Final = {
    **verifications.VERDICTS,
    "1": names.VERDICT_FAIL,
    "2": names.VERDICT_PASS,
    "0": None,
    "": None,
}


def is_message(value: object) -> bool:
    """Say whether a JSON value is a CFX message, of any kind, or the body of UnitsInspected."""
    return isinstance(value, Mapping) and ("MessageName" in value or "InspectedUnits" in value)


def without_verdict(message: Mapping[str, Any]) -> str | None:
    """The name of a message that holds no inspection, or only decisions of this program.

    Raises
    ------
    Malformed : as ``rows``.
    """
    name = _text(message, "MessageName") or MESSAGE
    if name != MESSAGE:
        return name
    if _is_decision(message):
        return f"{name} of {verifications.GATE[_IDENTIFIER]} itself"
    units = _list(_body(message), "InspectedUnits")
    held = any(unit.get("Inspections") if isinstance(unit, Mapping) else True for unit in units)
    return None if held else name


def rows(message: Mapping[str, Any]) -> Iterator[Row]:
    """One row a unit and position, with ``board_id`` and ``position`` in place of a path.

    A defect's own verification counts before its inspection's and its unit's. Those above speak
    for a defect where they reject it, which holds for all below, or confirm the only one there is:
    a confirmed unit with three flags doesn't say which of them is true. A position is a ``fail`` if
    one of its defects is, a ``pass`` if all of them are. Messages of another kind, and decisions
    of this program, have no rows. A unit that isn't built as CFX says is one row with a fault, and
    the others count.

    Raises
    ------
    Malformed : the message itself isn't built as CFX says.
    """
    if (_text(message, "MessageName") or MESSAGE) != MESSAGE or _is_decision(message):
        return
    body = _body(message)
    operator = _text(_object(body, "Inspector"), _IDENTIFIER)
    sent = _text(message, "TimeStamp")
    units = _list(body, "InspectedUnits")
    panels = _panels(units)
    for number, unit in enumerate(units, start=1):
        try:
            for row in [*_unit_rows(unit, sent)]:
                row[names.OPERATOR_ID] = operator
                if row[names.BOARD_ID] in panels:
                    row[OF_PANEL] = "true"
                yield row
        except Malformed as error:
            yield faulty_row(f"unit {number}: {error}")


def _is_decision(message: Mapping[str, Any]) -> bool:
    """Whether this program sent it: taken for a verdict, the gate would be its own evidence."""
    inspector = _object(_body(message), "Inspector")
    return _text(inspector, _IDENTIFIER) == verifications.GATE[_IDENTIFIER]


def _panels(units: Sequence[Any]) -> set[str]:
    """The identifiers that several boards of a message have in common."""
    places: dict[str, set[str]] = {}
    for unit in units:
        if isinstance(unit, Mapping):
            name, place = unit.get("UnitIdentifier"), unit.get("UnitPositionNumber")
            places.setdefault(str(name).strip(), set()).add(str(place))
    return {name for name, found in places.items() if len(found) > 1}


def _unit_rows(unit: object, sent: str | None) -> Iterator[Row]:
    if not isinstance(unit, Mapping):
        raise Malformed(f"a JSON {type(unit).__name__} in place of an object")
    found: dict[str | None, list[Row]] = {}
    for row in _defects(unit):
        found.setdefault(row[names.POSITION], []).append(row)
    for position in found.values():
        yield _merged(position) | {names.VERIFIED_AT: sent or position[-1][names.VERIFIED_AT]}


def _defects(unit: Mapping[str, Any]) -> Iterator[Row]:
    inspections = [one for one in _items(unit, "Inspections") if not _passed(one)]
    flags = sum(max(1, len(_items(one, "DefectsFound"))) for one in inspections)
    for inspection in inspections:
        defects = _items(inspection, "DefectsFound") or [{}]
        above = ((inspection, len(defects)), (unit, flags))
        for defect in defects:
            component = _object(defect, "ComponentOfInterest")
            yield {
                names.BOARD_ID: _text(unit, "UnitIdentifier"),
                UNIT_POSITION: _text(unit, "UnitPositionNumber"),
                names.POSITION: _text(component, "ReferenceDesignator")
                or _text(inspection, "InspectionName"),
                names.PART_NUMBER: _text(component, "PartNumber"),
                names.VERDICT: _verdict(defect, above),
                names.DEFECTS: _text(defect, "DefectCode"),
                names.VERIFIED_AT: _text(inspection, "InspectionEndTime"),
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
    text = _text(level, "Verification") or ""
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


def _body(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(message, "MessageBody") if "MessageBody" in message else message


def _text(value: Mapping[str, Any], name: str) -> str | None:
    """A member's text, trimmed; numbers are taken for text."""
    found = value.get(name)
    if isinstance(found, str):
        return found.strip()
    if found is None:
        return None
    if isinstance(found, int | float) and not isinstance(found, bool):
        return str(found)
    raise _wrong(name, found, "a text")


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return found
    raise _wrong(name, found, "an object")


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    raise _wrong(name, found, "a list")


def _items(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = _list(value, name)
    for one in found:
        if not isinstance(one, Mapping):
            raise _wrong(name, one, "an object")
    return found


def _wrong(name: str, found: object, expected: str) -> Malformed:
    return Malformed(f"{name} holds a JSON {type(found).__name__} in place of {expected}")
