"""CSV as plants write it: read where it is certain, else rejected row by row."""

from __future__ import annotations

import time

import pytest

from pcb_spark.ingest import verdict_csv
from pcb_spark.ingest.verdict_form import Form, Row

HEADER = "image,verdict,defects\n"


def parse(text: str, form: Form | None = None) -> list[Row]:
    return list(verdict_csv.parse(text, form or Form()))


def images(found: list[Row]) -> list[str | None]:
    return [row["image"] for row in found if "fault" not in row]


def faults(found: list[Row]) -> list[tuple[str | None, str | None]]:
    return [(row.get("fault_reason"), row["fault"]) for row in found if "fault" in row]


def test_comma_without_quotes_costs_its_row_only() -> None:
    found = parse(HEADER + "a.png,fail,open,short\nb.png,fail,open\nc.png,pass\n")
    assert images(found) == ["b.png"]
    assert faults(found) == [
        ("verdict_row_malformed", "line 2: 4 fields, the header has 3"),
        ("verdict_row_malformed", "line 4: 2 fields, the header has 3"),
    ]


def test_ids_that_excel_was_kept_from_taking_for_numbers() -> None:
    found = parse('board_id,position,verdict\n"=""00123""",="4.1E+04",pass\n')
    assert found == [{"board_id": "00123", "position": "4.1E+04", "verdict": "pass"}]


def test_from_an_unclosed_quote_on_nothing_is_trusted_and_every_line_is_told() -> None:
    found = parse(HEADER + 'a.png,fail,open\nb.png,fail,"bridge\nc.png,fail,open\n\nd.png,pass,\n')
    assert images(found) == ["a.png"]
    assert {reason for reason, _ in faults(found)} == {"verdict_file_malformed"}
    assert [what[:32] for _, what in faults(found) if what] == [
        "line 3: not read, since a quotat", "line 4: not read, since a quotat",
        "line 6: not read, since a quotat",
    ]  # fmt: skip


def test_unclosed_quote_that_a_later_quoted_value_breaks() -> None:
    found = parse(
        HEADER + 'a.png,fail,"bridge\nb.png,pass,\nc.png,fail,"open, short"\nd.png,pass,\n'
    )
    assert images(found) == []
    assert len(faults(found)) == 4


def test_two_stray_quotes_do_not_swallow_the_rows_between_them() -> None:
    found = parse(HEADER + 'a.png,fail,"bridge\nb.png,fail,open\nc.png,pass,"\nd.png,pass,\n')
    assert images(found) == ["d.png"]
    assert [reason for reason, _ in faults(found)] == ["verdict_row_malformed"] * 3


def test_text_after_a_closed_quote_costs_its_row_only() -> None:
    found = parse(HEADER + 'a.png,fail,"say "open""\nb.png,pass,\n')
    assert images(found) == ["b.png"]
    assert [reason for reason, _ in faults(found)] == ["verdict_row_malformed"]


def test_quote_inside_a_value_is_a_letter() -> None:
    (row,) = parse(HEADER + 'a.png,fail,crack 5" long\n')
    assert row["defects"] == 'crack 5" long'


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_value_of_several_lines_is_one_row(end: str) -> None:
    found = parse(f'image,verdict,defects{end}a.png,fail,"open{end}and more"{end}b.png,pass,{end}')
    assert images(found) == ["a.png", "b.png"]
    assert found[0]["defects"] == f"open{end}and more"


@pytest.mark.parametrize(
    ("text", "reason", "fault"),
    [
        ("image,verdict,Verdict \na.png,pass,fail\n", "verdict_file_malformed",
         "two columns are named verdict"),
        ("image,,verified_at\na.png,pass,2026-01-05\n", "verdict_row_malformed",
         "line 2: column 2 has no name in the header, and holds pass"),
        ("image,verdict\na.png,pa\0ss\n", "verdict_row_malformed",
         "line 2: control characters in place of text"),
        ('image,"verdict\na.png,pass\n', None, 'no column named image: image,"verdict'),
    ],
)  # fmt: skip
def test_header_and_values_that_cannot_be_trusted(
    text: str, reason: str | None, fault: str
) -> None:
    found = parse(text)
    assert images(found) == []
    assert faults(found) == [(reason, fault)]


def test_columns_of_others_may_be_doubled_empty_or_an_index() -> None:
    text = ",image,verdict,note,note,\n0,a.png,pass,x,y,\n1,b.png,fail,x,y,\n,,,,,\n"
    assert [(row["image"], row["verdict"]) for row in parse(text)] == [
        ("a.png", "pass"), ("b.png", "fail"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "image;verdict\na, b.png;pass\n",
        "image\tverdict\r\na, b.png\tpass\r\n",
        "image|verdict\na, b.png|pass\n",
        "sep=;\r\nimage;verdict\r\na, b.png;pass\r\n",
        'sep=,\nimage,verdict\n"a, b.png",pass\n',
        "\nimage;verdict;;\na, b.png;pass;;\n;;;\n",
    ],
)
def test_separator_is_found_where_the_header_says_it(text: str) -> None:
    (row,) = parse(text)
    assert (row["image"], row["verdict"]) == ("a, b.png", "pass")


def test_separator_that_is_not_certain_is_asked_for() -> None:
    text = "image,board_id;image;position\na,b;c;d\n"
    assert faults(parse(text)) == [
        (None, "its separator isn't certain; set ingest.verdict_separator")
    ]
    (row,) = parse(text, Form(separator=";"))
    assert row == {"image,board_id": "a,b", "image": "c", "position": "d"}


def test_separator_of_the_settings_is_not_second_guessed() -> None:
    found = parse("image;verdict\na.png;pass\n", Form(separator="^"))
    assert faults(found) == [(None, "no column named image: image;verdict")]


def test_a_plants_own_column_names() -> None:
    form = Form(columns={"image": "Bild", "verdict": "Operator Result"})
    (row,) = parse("Bild;Verdict;OPERATOR RESULT\na.png;NG;OK\n", form)
    assert (row["image"], row["verdict"], row["verdict, unused"]) == ("a.png", "OK", "NG")
    (row,) = parse("image,verdict\na.png,OK\n", form)
    assert (row["image"], row["verdict"]) == ("a.png", "OK")


def test_a_hundred_thousand_rows_are_read_in_seconds() -> None:
    text = HEADER + "".join(f"images/line=L1/{n}_P1.png,pass,\n" for n in range(100_000))
    began = time.perf_counter()
    assert len(parse(text)) == 100_000
    assert time.perf_counter() - began < 10
