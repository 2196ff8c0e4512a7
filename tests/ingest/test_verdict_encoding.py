"""Encodings of verdict files: found where certain, else asked for."""

from __future__ import annotations

import pytest

from pcb_spark.ingest.verdict_encoding import UnreadableTextError, decode

TEXT = "image;operator_id\r\nPrüfplatz/a.png;Müller\r\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp1250"],
)
def test_encoding_is_found(encoding: str) -> None:
    assert decode(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("image;operator_id\na.png;Иванов\n", "cp1251"),
        ("image;operator_id\na.png;Παπάς\n", "cp1253"),
        ("image;operator_id\na.png;Nowak, Gdańsk\n", "cp1250"),
        ("image;operator_id\na.png;Peña\n", "cp1252"),
        ("image;operator_id\na.png;王芳\n", "gb18030"),
        ("image;operator_id\na.png;佐藤\n", "cp932"),
    ],
)
def test_what_could_be_another_code_page_is_asked_for(text: str, encoding: str) -> None:
    with pytest.raises(UnreadableTextError, match=r"no UTF-8 .* set ingest\.verdict_encoding"):
        decode(text.encode(encoding))
    assert decode(text.encode(encoding), encoding) == text


def test_mark_counts_before_the_setting_and_the_setting_before_a_guess() -> None:
    assert decode(TEXT.encode("utf-8-sig"), "cp1252") == TEXT
    assert decode("Müller".encode(), "cp1252") == "MÃ¼ller"
    assert decode("Müller".encode(), "cp1252", is_json=True) == "Müller"
    assert decode("Müller".encode("cp1252"), "cp1252", is_json=True) == "Müller"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "an Excel workbook or another zip archive, in place of text"),
        (b"PAR1rest", "Parquet under another name, in place of text"),
        (b"\x1f\x8b\x08", "compressed by gzip, in place of text"),
        (b"image\0\0verdict", "zero bytes, from byte 5 on, in place of text"),
        (b"\xff\xfea\0b", "no utf-16: "),
    ],
)
def test_what_is_no_text(content: bytes, what: str) -> None:
    with pytest.raises(UnreadableTextError) as caught:
        decode(content)
    assert str(caught.value).startswith(what)
