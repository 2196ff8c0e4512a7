from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.ingest import cfx, verdict_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MESSAGE = {
    "MessageName": cfx.MESSAGE,
    "MessageBody": {
        "InspectedUnits": [
            {
                "UnitIdentifier": "b1",
                "Inspections": [
                    {"InspectionName": "P1", "DefectsFound": [{"Verification": "DefectConfirmed"}]}
                ],
            }
        ]
    },
}


def rows(name: str, text: str) -> list[dict[str, Any]]:
    return list(verdict_files.parse(name, text.encode()))


def malformed(what: str) -> dict[str, Any]:
    return {"fault_reason": "verdict_row_malformed", "fault": what}


def test_blanks_and_what_cannot_be_seen_around_a_value_are_no_part_of_it() -> None:
    written = ["OK\u00a0", "\u200bOK", "\ufeff OK\u200e ", "O\u200bK", "\u2060"]
    assert [verdict_files.clean(text) for text in written] == ["OK", "OK", "OK", "O\u200bK", None]


def test_csv_with_quotes_commas_newlines_and_a_byte_order_mark() -> None:
    text = (
        '\ufeffimage,Verdict , defects\r\n"a, b.png",fail,"called ""open"", then short"\r\n'
        'c.png,fail,"two\nlines"\r\n\r\n'
    )
    assert rows("v.csv", text) == [
        {"image": "a, b.png", "verdict": "fail", "defects": 'called "open", then short'},
        {"image": "c.png", "verdict": "fail", "defects": "two\nlines"},
    ]


def test_short_and_long_csv_rows_are_rejected() -> None:
    short, long, good = rows("v.csv", "image,verdict\na.png\nb.png,pass,more\nc.png,fail\n")
    assert short == malformed("line 2: 1 fields, the header has 2")
    assert long == malformed("line 3: 3 fields, the header has 2")
    assert good == {"image": "c.png", "verdict": "fail"}


def test_csv_may_name_board_and_position_in_place_of_the_image() -> None:
    assert rows("v.csv", "board_id,position,verdict\nb1,P1,fail\n") == [
        {"board_id": "b1", "position": "P1", "verdict": "fail"}
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("picture,verdict\na.png,pass\n", "no column named image: picture, verdict"),
        ("", "no column named image: an empty file"),
        ("board_id,verdict\n", "no column named image: board_id, verdict"),
    ],
)
def test_csv_that_names_no_images(text: str, fault: str) -> None:
    assert rows("v.csv", text) == [{"fault": fault}]


def test_bytes_of_which_nobody_knows_the_encoding() -> None:
    (row,) = verdict_files.parse("v.csv", b"image\nb\xf1rde.png\n")
    assert row == {
        "fault": "no UTF-8 from byte 7 (0xf1) on; save it as UTF-8, or set ingest.verdict_encoding"
    }


def test_json_lines_with_one_bad_line() -> None:
    text = '{"Image": "a.png", "verdict": "pass"}\n\n{"image": \n["b.png"]\n'
    first, bad, odd = rows("v.jsonl", text)
    assert first == {"image": "a.png", "verdict": "pass"}
    assert bad["fault"].startswith("line 3: ")
    assert odd == {"fault": "a JSON list in place of an object"}


@pytest.mark.parametrize(
    "text",
    [json.dumps(MESSAGE), json.dumps(MESSAGE, indent=2), json.dumps([MESSAGE]),
     json.dumps(MESSAGE) + "\n"],
)  # fmt: skip
def test_cfx_message_in_a_file_of_its_own_or_among_others(text: str) -> None:
    (row,) = rows("v.json", text)
    assert (row["board_id"], row["position"], row["verdict"]) == ("b1", "P1", "fail")


def test_files_of_every_kind_are_read_in_their_order(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a [1].csv").write_text("image,verdict\na.png, pass \nb.png,\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"image": "c.png", "lot": 7}\n', encoding="utf-8")
    (tmp_path / "d.csv").touch()
    frame = spark.sql("select 'd.png' image, timestamp'2026-01-05 06:00:00Z' verified_at, 1 other")
    frame.coalesce(1).write.parquet(str(tmp_path / "c.parquet"))
    paths = sorted(path for path in tmp_path.iterdir())
    files = [(f"file:{path}", path.stat().st_size) for path in paths]
    found = verdict_files.read(spark, files).orderBy("row_number").collect()
    assert [(r["image"], r["verdict"], r["lot"], r["verified_at"]) for r in found] == [
        ("a.png", "pass", None, None),
        ("b.png", None, None, None),
        ("c.png", None, "7", None),
        ("d.png", None, None, "2026-01-05T06:00:00.000000Z"),
        (None, None, None, None),
    ]
    assert found[4]["fault"] == "no column named image: an empty file"
    assert [r["file"].rpartition("/")[2] for r in found[:2]] == ["a [1].csv"] * 2
