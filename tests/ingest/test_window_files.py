"""references.csv as plants' tools save it."""

from __future__ import annotations

import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.ingest import window_files
from pcb_spark.ingest.verdict_form import Form

ROWS = "Reference;Part_Number;position;valid_from\r\nreferences/Größe.png;R10K; R1 ;\r\n"


def parsed(content: str | bytes, form: Form | None = None) -> list[dict[str, str]]:
    raw = content if isinstance(content, bytes) else content.encode()
    found = window_files.parse(raw, form or Form(), where="references.csv")
    pairs = (zip(found.columns, row, strict=True) for row in found.rows)
    return [{name: text for name, text in row if text} for row in pairs]


@pytest.mark.parametrize(
    "content",
    [ROWS.encode("cp1252"), ROWS.encode("utf-16"), ("sep=;\n" + ROWS).encode("utf-8-sig"),
     ROWS.replace(";", "\t").encode()],
)  # fmt: skip
def test_what_excel_saves(content: bytes) -> None:
    assert parsed(content) == [
        {"reference": "references/Größe.png", "part_number": "R10K", "position": "R1"}
    ]


def test_a_row_of_other_columns_costs_itself() -> None:
    found = parsed("reference,position\na.png,R1,R2\nb.png,R3\n")
    assert [row.get("fault") for row in found] == ["line 2: 3 fields, the header has 2", None]


def test_one_column_under_two_names_is_none() -> None:
    (row,) = parsed("reference,position,Position\na.png,R1,R2\n")
    assert row == {"fault": "two columns are named position"}


def test_a_file_that_names_no_references_keeps_its_header() -> None:
    found = window_files.parse(b"image;part\na;b\n", Form(), where="references.csv")
    assert (found.columns, found.rows) == (("image", "part"), [])


def test_bytes_of_which_nobody_knows_the_encoding() -> None:
    with pytest.raises(InputError, match=r"references\.csv can't be read"):
        parsed(b"reference,position\n\x8f\xe1.png,R1\n")
    (row,) = parsed(b"reference,position\n\x8f\xe1.png,R1\n", Form(encoding="cp1251"))
    assert row["reference"] == "\u040f\u0431.png"
