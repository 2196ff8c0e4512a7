"""JSON of verdicts: one wrong value costs its row, a wrong file itself alone."""

from __future__ import annotations

import json

import pytest

from pcb_spark.ingest import cfx, verdict_json
from pcb_spark.ingest.verdict_form import Form, Row


def parse(text: str, form: Form | None = None) -> list[Row]:
    return list(verdict_json.parse(text, form or Form()))


def test_numbers_are_taken_as_people_write_them() -> None:
    text = '{"image": 7, "board_id": 41000.0, "lot": 4.10e4, "line": 1.5, "verdict": true}'
    assert parse(text) == [
        {"image": "7", "board_id": "41000", "lot": "41000", "line": "1.5", "verdict": "true"}
    ]


def test_not_a_number_is_nothing_and_several_defects_are_a_list() -> None:
    assert parse('{"image": "a.png", "lot": NaN, "defects": ["open", "short"]}') == [
        {"image": "a.png", "lot": None, "defects": "open|short"}
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"image": "a.png", "verdict": {"value": "pass"}}',
         "line 1: verdict is a JSON dict in place of a text"),
        ('{"image": ["a.png"], "verdict": "pass"}',
         "line 1: image is a JSON list in place of a text"),
        ('{"image": "a.png", "image": "b.png"}', "line 1: a name stands twice"),
        ('{"image": "a.png", "Image": "b.png"}', "line 1: image stands twice"),
        ('{"image": "a\\ud800.png"}', "half of a character: '\\ud800'"),
    ],
)  # fmt: skip
def test_row_with_a_wrong_value_is_rejected_and_the_others_count(line: str, fault: str) -> None:
    bad, good = parse(line + '\n{"image": "b.png", "verdict": "pass"}\n')
    assert bad == {"fault_reason": "verdict_row_malformed", "fault": fault}
    assert good == {"image": "b.png", "verdict": "pass"}


@pytest.mark.parametrize("bad", ["{", "7", "[]", "nothing", '{"image": "c.png"} {}', "[" * 90_000])
def test_line_that_is_no_object_is_rejected_and_the_others_count(bad: str) -> None:
    first, last = parse(f'{bad}\n{{"image": "b.png"}}\n')
    assert set(first) == {"fault"}
    assert last == {"image": "b.png"}


@pytest.mark.parametrize(
    "text",
    [
        '[\n  {"image": "a.png"},\n  {"image": "b.p',
        '{\n  "MessageName": "CFX",\n  "MessageBody": {\n',
        "image,verdict\na.png,pass\n",
        "[" * 90_000,
        '{"image": 1' + "0" * 9_000 + "x}",
        "",
    ],
)
def test_file_that_is_no_json_is_one_reject(text: str) -> None:
    (row,) = parse(text)
    assert set(row) == {"fault"}


def test_line_separators_inside_a_text_are_letters() -> None:
    text = json.dumps({"image": "a\u2028b.png"}, ensure_ascii=False) + '\n{"image": "c.png"}\n'
    assert [row["image"] for row in parse(text)] == ["a\u2028b.png", "c.png"]


def test_messages_without_an_inspection_are_counted_and_named() -> None:
    tested = {"MessageName": "CFX.Production.TestAndInspection.UnitsTested", "MessageBody": {}}
    nothing = {"MessageName": cfx.MESSAGE, "MessageBody": {"InspectedUnits": []}}
    lines = "\n".join(json.dumps(one) for one in (tested, nothing, tested))
    assert parse(lines) == [
        {"fault_reason": "message_without_verdict",
         "fault": "2 messages CFX.Production.TestAndInspection.UnitsTested hold no verdict"},
        {"fault_reason": "message_without_verdict",
         "fault": f"1 messages {cfx.MESSAGE} hold no verdict"},
    ]  # fmt: skip


def message(**unit: object) -> str:
    defect = {"Verification": "DefectConfirmed"}
    plain = {"UnitIdentifier": "b1", "Inspections": [{"DefectsFound": [defect]}]}
    units = [plain | unit, plain]
    return json.dumps({"MessageName": cfx.MESSAGE, "MessageBody": {"InspectedUnits": units}})


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"Inspections": "all"}, "unit 1: Inspections holds a JSON str in place of a list"),
        ({"Inspections": ["all"]}, "unit 1: Inspections holds a JSON str in place of an object"),
        ({"UnitIdentifier": {"Id": 1}},
         "unit 1: UnitIdentifier holds a JSON dict in place of a text"),
        ({"Inspections": [{"DefectsFound": [{"ComponentOfInterest": "R1"}]}]},
         "unit 1: ComponentOfInterest holds a JSON str in place of an object"),
        ({"Inspections": [{"DefectsFound": [{"Verification": True}]}]},
         "unit 1: Verification holds a JSON bool in place of a text"),
    ],
)  # fmt: skip
def test_unit_that_is_built_otherwise_is_rejected_and_the_others_count(
    wrong: dict[str, object], fault: str
) -> None:
    bad, good = parse(message(**wrong))
    assert bad == {"fault_reason": "verdict_row_malformed", "fault": fault}
    assert (good["board_id"], good["verdict"]) == ("b1", "fail")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('"text"', "MessageBody holds a JSON str in place of an object"),
        ('{"Inspector": "OP1", "InspectedUnits": [{"Inspections": [{}]}]}',
         "Inspector holds a JSON str in place of an object"),
        ('{"InspectedUnits": {"0": {}}}', "InspectedUnits holds a JSON dict in place of a list"),
        ('{"InspectedUnits": [{"Inspections": [], "Inspections": []}]}',
         "a message in which a name stands twice"),
    ],
)  # fmt: skip
def test_message_that_is_built_otherwise_is_one_reject(body: str, fault: str) -> None:
    text = f'{{"MessageName": "{cfx.MESSAGE}", "MessageBody": {body}}}'
    assert parse(text) == [{"fault_reason": "verdict_row_malformed", "fault": fault}]


def test_numbers_in_a_message_are_text() -> None:
    text = message(UnitIdentifier=41000, UnitPositionNumber=2, Verification=1)
    text = text.replace('{"DefectsFound"', '{"InspectionEndTime": 20260105, "DefectsFound"')
    first, _ = parse(text)
    assert (first["board_id"], first["unit_position"]) == ("41000", "2")
    assert first["verified_at"] == "20260105"
