"""Whether the end of an image file was ever written, by the marks of its own format.

A file that is still being copied ends too early, or ends in zeros where its place was reserved
first. Decoders fill in what is missing with grey or black, and few of them say so.

Where a format makes it impossible, zeros at the end are taken for what they say: uncompressed
pixels of BMP and TIFF may be black, and so may the end of a palette that stands behind a TIFF's
pixels. WebP and TIFF's PackBits have no end mark either: fewer than four zeros aren't
seen. The code of a lossy WebP may itself end in zeros: of more one case in twenty isn't seen. There
``ingest.settle_seconds`` helps.
"""

from __future__ import annotations

import io
import operator
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

#: Compressed pixels hardly ever end in so many zero bytes; those of a lossy WebP may.
_ZEROS: Final = bytes(4)
#: An encoder of lossy WebP writes fewer bytes than this that its decoder doesn't ask for.
_SPARE: Final = 4
#: Bytes of a TIFF's value by its type (TIFF 6.0, section 2).
_TIFF_UNITS: Final = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_COMPRESSION: Final = 259
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_LAYOUT: Final = (_COMPRESSION, _STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES)
_RATIOS: Final = (529, 532)  # YCbCrCoefficients, ReferenceBlackWhite
_JPEG_TABLES: Final = 347
#: Values that pixels depend on and that are never zero; counts of bytes aren't asked for by all.
_NEVER_ZERO: Final = (258, 259, _STRIPS, _TILES, 339, 530)
_ASKED: Final = (*_LAYOUT, *_RATIOS, _JPEG_TABLES, *_NEVER_ZERO)
_MOST_VALUES: Final = 2**20  # strips of the largest image, and JPEG's tables, are far fewer
_ORIENTATION: Final = 274
_UNCOMPRESSED, _GROUP4, _LZW, _JPEG = 1, 4, 5, 7
_DEFLATE: Final = (8, 32946)
_STANDALONE: Final = (0x01, *range(0xD0, 0xD9))  # JPEG's markers without a length
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_HAS_EXIF: Final = 0x08  # of VP8X


def ends_early(data: bytes) -> bool:
    """Whether the end that the format asks for is missing; ``data`` has a format's signature."""
    match data[:2]:
        case b"\xff\xd8":
            return not _jpeg_ends(data)
        case b"\x89P":
            return not _png_ends(data)
        case b"RI":
            return not _webp_ends(data)
        case b"BM":
            return not _bmp_ends(data)
        case _:
            return not _tiff_ends(data)


def _jpeg_ends(data: bytes) -> bool:
    """Entropy-coded data hold no end mark: one behind the first scan's header is the image's."""
    at = 2
    while 0 <= at < len(data) - 1:
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at = data.find(b"\xff", at + 1)
        elif marker == _START_OF_SCAN:
            return data.find(b"\xff\xd9", at) >= 0
        elif marker == _END_OF_IMAGE:
            return True
        elif marker in _STANDALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _png_ends(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind == b"IEND" or not kind.isalpha():
            return kind == b"IEND"
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _webp_ends(data: bytes) -> bool:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return False
    at, flags, found = 12, 0, set()
    while at + 8 <= end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + size]
        if not kind.strip().isalnum() or len(content) < size:
            return False
        if content.endswith(_ZEROS) and (kind == b"VP8L" or (kind == b"VP8 " and _spares(content))):
            return False
        if kind == b"VP8X":
            flags = content[0] if content else 0
        if kind == b"EXIF" and not _is_written(content.removeprefix(b"Exif\0\0")):
            return False
        found.add(kind)
        at += 8 + size + size % 2
    return b"EXIF" in found or not flags & _HAS_EXIF


def _spares(pixels: bytes) -> bool:
    """Whether a lossy WebP's pixels can be decoded without their last bytes.

    Zeros in place of its code let a decoder ask for far fewer bytes.
    """
    fewer = pixels[:-_SPARE]
    body = b"WEBPVP8 " + len(fewer).to_bytes(4, "little") + fewer + bytes(len(fewer) % 2)
    try:
        file = io.BytesIO(b"RIFF" + len(body).to_bytes(4, "little") + body)
        Image.open(file, formats=("WEBP",)).load()
    except Exception:  # noqa: BLE001  whatever Pillow raises, it didn't decode them
        return False
    return True


def _is_written(exif: bytes) -> bool:
    """Whether EXIF's first directory doesn't end in zeros; damage of other kinds is no matter."""
    if exif[:2] not in (b"II", b"MM"):
        return any(exif[-8:])
    tiff = _Tiff(exif)
    entries = list(tiff.entries())
    turned = [place for tag, *place in entries if tag == _ORIENTATION]
    return (
        bool(entries)
        and all(map(all, (entry[:3] for entry in entries)))
        and all(any(tiff.values(*place)) for place in turned)
    )


def _bmp_ends(data: bytes) -> bool:
    """Pillow says itself where uncompressed rows are missing; runs have an end mark."""
    size, pixels = int.from_bytes(data[2:6], "little"), int.from_bytes(data[10:14], "little")
    bits, compression = int.from_bytes(data[28:30], "little"), data[30:34]
    if data[14] >= 40 and (compression, bits) in ((b"\1\0\0\0", 8), (b"\2\0\0\0", 4)):
        return _runs_end(data, pixels, bits)
    return pixels < len(data) or size <= len(data)


def _runs_end(data: bytes, at: int, bits: int) -> bool:
    """Follow BMP's run-length code to its end mark, 00 01."""
    while at + 1 < len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            continue
        if value == 1:
            return True
        if value == 2:
            at += 2
        elif value:
            octets = (value * bits + 7) // 8
            at += octets + octets % 2
    return False


def _tiff_ends(data: bytes) -> bool:
    tiff = _Tiff(data)
    entries = list(tiff.entries())
    places = {tag: place for tag, *place in entries if tag in _ASKED}
    if tiff.end(entries) > len(data) or not all(tag and kind for tag, kind, _, _ in entries):
        return False
    if max((count for _, count, _ in places.values()), default=0) > _MOST_VALUES:
        return False
    values = {tag: tiff.values(*places[tag]) for tag in _LAYOUT if tag in places}
    if not all(tiff.is_written(tag, *place) for tag, place in places.items()):
        return False
    starts = [*values.get(_STRIPS, ()), *values.get(_TILES, ())]
    lengths = [*values.get(_STRIP_BYTES, ()), *values.get(_TILE_BYTES, ())]
    if not starts or len(starts) != len(lengths):
        return bool(starts)
    if max(map(operator.add, starts, lengths)) > len(data):
        return False
    start, length = max(zip(starts, lengths, strict=True))
    (compression, *_) = values.get(_COMPRESSION) or [_UNCOMPRESSED]
    return _pixels_end(data[start : start + length], compression)


def _pixels_end(pixels: bytes, compression: int) -> bool:
    """Whether the last strip or tile ends as its compression does."""
    if compression == _UNCOMPRESSED:
        return True
    if compression in _DEFLATE:
        return _deflate_ends(pixels)
    if compression == _JPEG:
        return pixels.rstrip(b"\0").endswith(b"\xff\xd9")
    if compression in (_LZW, _GROUP4):  # their end codes end in a one
        return not pixels.endswith(b"\0")
    return not pixels.endswith(_ZEROS)


def _deflate_ends(pixels: bytes) -> bool:
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(pixels)
    except zlib.error:
        return False
    return inflater.eof


@dataclass(frozen=True, slots=True)
class _Tiff:
    """The first directory of a TIFF or BigTIFF; of what is missing it reads zeros."""

    data: bytes

    def entries(self) -> Iterator[tuple[int, int, int, int]]:
        """Tag, type, count, and where the values are, of each entry."""
        wide = self._wide
        begin, end = self._extent()
        for entry in range(begin, min(end, len(self.data)), 4 + 2 * wide):
            tag, kind = self._number(entry, 2), self._number(entry + 2, 2)
            count, at = self._number(entry + 4, wide), entry + 4 + wide
            if count * _TIFF_UNITS.get(kind, 1) > wide:
                at = self._number(at, wide)
            yield tag, kind, count, at

    def values(self, kind: int, count: int, at: int) -> list[int]:
        unit = _TIFF_UNITS.get(kind, 1)
        end = min(at + unit * count, len(self.data))
        return [self._number(place, unit) for place in range(at, end, unit)]

    def is_written(self, tag: int, kind: int, count: int, at: int) -> bool:
        """Whether a value that pixels depend on doesn't end in zeros where it can't."""
        if tag in _NEVER_ZERO:
            return all(self.values(kind, count, at))
        if tag in _RATIOS:
            halves = [self._number(place, 4) for place in range(at, at + 8 * count, 4)]
            return all(halves[1::2])
        return tag != _JPEG_TABLES or self.data[at : at + count].endswith(b"\xff\xd9")

    def end(self, entries: list[tuple[int, int, int, int]]) -> int:
        """Where the directory and all its values end."""
        ends = (at + count * _TIFF_UNITS.get(kind, 1) for _, kind, count, at in entries)
        return max(self._extent()[1], *ends, 0)

    @property
    def _wide(self) -> int:
        return 8 if b"\x2b" in self.data[2:4] else 4

    def _extent(self) -> tuple[int, int]:
        wide = self._wide
        narrow = 8 if wide == 8 else 2
        begin = self._number(wide, wide) + narrow
        return begin, begin + self._number(begin - narrow, narrow) * (4 + 2 * wide)

    def _number(self, at: int, width: int) -> int:
        order: Literal["little", "big"] = "little" if self.data.startswith(b"II") else "big"
        return int.from_bytes(self.data[at : at + width], order)
