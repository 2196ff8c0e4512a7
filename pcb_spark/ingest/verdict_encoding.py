"""Text of a file whose encoding nobody wrote down, where that is certain."""

from __future__ import annotations

import codecs
import re
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN_PAGES: Final = ("cp1250", "cp1252", "cp1254", "cp1257")
_EASTERN_PAGES: Final = ("gb18030", "cp932", "cp949", "big5hkscs")
_HIGH: Final = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_AFTER_LETTER: Final = re.compile(rb"[A-Za-z][\x80-\xff]")
#: What files of other programs begin with.
_OTHERS: Final = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind"),
    (b"PAR1", "Parquet under another name"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"%PDF", "PDF"),
)
_HINT: Final = "save it as UTF-8, or set ingest.verdict_encoding"


class UnreadableTextError(ValueError):
    """Bytes that are no text, or text of which nobody can say in which encoding."""


def decode(content: bytes, encoding: str = "", *, is_json: bool = False) -> str:
    """The text of a file, as ``recognise`` finds it."""
    return recognise(content, encoding, is_json=is_json)[0]


def recognise(content: bytes, encoding: str = "", *, is_json: bool = False) -> tuple[str, str]:
    """Decode a file, and name its encoding.

    Its byte order mark counts first, then ``encoding``, then what is certain.

    UTF-8 and UTF-16 show themselves. A Windows code page is certain where all those of Latin
    script agree and no other script would put its letters there. JSON is UTF-8 by its standard,
    and ``encoding`` is for JSON that isn't.

    Raises
    ------
    UnreadableTextError : none is certain, or the bytes are none of the certain one.
    """
    other = next((what for mark, what in _OTHERS if content.startswith(mark)), None)
    if other:
        raise UnreadableTextError(f"{other}, in place of text")
    mark = next((name for start, name in _MARKS if content.startswith(start)), None)
    if mark or (encoding and not is_json):
        return _strictly(content, mark or encoding)
    if b"\0" in content[:4096]:
        return _strictly(content, _utf16_without_mark(content))
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if encoding:
            return _strictly(content, encoding)
        if _is_surely_latin(content):
            return content.decode("cp1252"), "cp1252"
        byte = content[error.start]
        raise UnreadableTextError(
            f"no UTF-8 from byte {error.start} (0x{byte:02x}) on; {_HINT}"
        ) from None


def _strictly(content: bytes, name: str) -> tuple[str, str]:
    try:
        return content.decode(name), name
    except UnicodeError as error:
        raise UnreadableTextError(f"no {name}: {error}") from None


def _utf16_without_mark(content: bytes) -> str:
    """Of Latin text one byte of each pair is zero."""
    start = content[:4096]
    low, high = start[0::2].count(0), start[1::2].count(0)
    if high > len(start) // 4 and not low:
        return "utf-16-le"
    if low > len(start) // 4 and not high:
        return "utf-16-be"
    raise UnreadableTextError(f"zero bytes, from byte {content.index(0)} on, in place of text")


def _is_surely_latin(content: bytes) -> bool:
    """Say whether every byte above 127 is one letter or sign, the same in all Latin code pages.

    In the others such a byte, right beside a Latin letter, would put two scripts into one word.
    """
    words = set(_HIGH.findall(content))
    single = all(_same_in_latin_pages(byte) for word in words for byte in word if byte >= 0x80)
    beside = all(_AFTER_LETTER.search(word) for word in words)
    if not single or not all(re.search(rb"[A-Za-z]", word) for word in words):
        return False
    return beside or not any(_decodes(content, page) for page in _EASTERN_PAGES)


def _same_in_latin_pages(byte: int) -> bool:
    found = {bytes([byte]).decode(page, "replace") for page in _LATIN_PAGES}
    return len(found) == 1 and "\ufffd" not in found


def _decodes(content: bytes, page: str) -> bool:
    try:
        content.decode(page)
    except UnicodeDecodeError:
        return False
    return True
