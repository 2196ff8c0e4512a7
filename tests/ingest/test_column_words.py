"""What a plant's name of a column stands for, in its own language and spelling."""

from __future__ import annotations

import pytest

from pcb_spark.core import names
from pcb_spark.ingest import column_words


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Los-Nr.", names.LOT), ("N° de lot", names.LOT), ("lot_id", names.LOT),
        ("ロット番号", names.LOT), ("批次号", names.LOT), ("로트번호", names.LOT),
        ("Seriennummer", names.BOARD_ID), ("S/N", names.BOARD_ID), ("Barcode", names.BOARD_ID),
        ("Prüfer", names.OPERATOR_ID), ("Pruefer-ID", names.OPERATOR_ID),
        ("Opérateur", names.OPERATOR_ID), ("検査者", names.OPERATOR_ID),
        ("Fehlerart", names.DEFECTS), ("Code défaut", names.DEFECTS), ("不良内容", names.DEFECTS),
        ("Bezugszeichen", names.POSITION), ("RefDes", names.POSITION), ("位号", names.POSITION),
        ("Artikel-Nr.", names.PART_NUMBER), ("Part No", names.PART_NUMBER),
        ("料号", names.PART_NUMBER), ("Linie", names.LINE), ("Ligne", names.LINE),
        ("Image de référence", names.REFERENCE), ("Golden Image", names.REFERENCE),
    ],
)  # fmt: skip
def test_names_in_many_languages(name: str, ours: str) -> None:
    assert column_words.known(name) == ours


@pytest.mark.parametrize(
    "name", ["No", "ID", "Name", "Code", "Note", "Bauteil", "Component", "Auftrag", "Unit", "Serie"]
)
def test_names_that_may_be_anything_are_none(name: str) -> None:
    assert column_words.known(name) is None


def test_a_component_is_a_place_or_a_part() -> None:
    assert column_words.is_part_or_place("Component Name")
    assert not column_words.is_part_or_place("Board")
