"""Image files of every kind of pixel, written by hand from known samples."""

from __future__ import annotations

import functools
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 224  # decoded as it is, without a resize

_SHORT, _LONG = 3, 4
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


@functools.cache
def samples(count: int, bits: int) -> NDArray[np.int64]:
    """(224, 224, count) values of all ``bits``: waves that differ from sample to sample."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    planes = [x, y, (x + y) / 2, 1 - x, 1 - y, x * y]
    scaled: NDArray[np.float64] = np.stack(planes[:count], axis=2) * (2**bits - 1)
    return scaled.round().astype(np.int64)


def eight_bits(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Samples of ``bits`` as 0..255."""
    return values >> (bits - 8) if bits >= 8 else values * 255 // (2**bits - 1)


def packed(values: NDArray[np.int64], bits: int, order: str = ">") -> bytes:
    """Rows of samples, each row from a byte on; ``order`` as ``struct`` has it."""
    rows = values.reshape(values.shape[0], -1)
    if bits in (8, 16, 32):
        whole: bytes = (rows % 2**bits).astype(f"{order}u{bits // 8}").tobytes()
        return whole
    places = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    octets = (rows.astype(np.uint16)[..., None] >> places).astype(np.uint8) & 1
    return np.packbits(octets.reshape(len(rows), -1), axis=1).tobytes()


@dataclass(frozen=True, kw_only=True)
class Tiff:
    """How a TIFF holds its samples; ``more`` are further tags, ``without`` tags that are left out.

    ``compression`` is 1 for none, 5 for LZW, 8 for deflate, 32773 for PackBits.
    """

    bits: int = 8
    photometric: int = 1
    extra: tuple[int, ...] = ()
    planar: int = 1
    sample_format: int = 1
    order: str = "<"
    fill_order: int = 1
    compression: int = 1
    rows: int = SIDE
    tile: int = 0
    directory_first: bool = True
    more: Mapping[int, Sequence[int]] = field(default_factory=dict)
    without: tuple[int, ...] = ()

    def write(self, values: NDArray[np.int64]) -> bytes:
        """The file of (height, width, samples a pixel)."""
        chunks = [
            self._compressed(packed(part, self.bits, self.order)) for part in self._cut(values)
        ]
        tags = self._tags(values, [len(chunk) for chunk in chunks])
        pixels = b"".join(chunks)
        begin = 8 if self.directory_first else 8 + len(pixels)
        directory = self._directory(tags, begin, 0)
        first = begin + len(directory) if self.directory_first else 8
        starts = np.cumsum([first, *map(len, chunks)])[:-1]
        tags[324 if self.tile else 273] = [int(start) for start in starts]
        directory = self._directory(tags, begin, 0)
        head = {"<": b"II", ">": b"MM"}[self.order] + struct.pack(f"{self.order}HL", 42, begin)
        return head + (directory + pixels if self.directory_first else pixels + directory)

    def _cut(self, values: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        count = values.shape[2]
        planes = [values] if self.planar == 1 else [values[..., k : k + 1] for k in range(count)]
        for plane in planes:
            if not self.tile:
                yield from (plane[y : y + self.rows] for y in range(0, len(plane), self.rows))
                continue
            over = [(0, -length % self.tile) for length in plane.shape[:2]]
            padded = np.pad(plane, [*over, (0, 0)])
            for y in range(0, len(plane), self.tile):
                for x in range(0, plane.shape[1], self.tile):
                    yield padded[y : y + self.tile, x : x + self.tile]

    def _compressed(self, content: bytes) -> bytes:
        ways: dict[int, Callable[[bytes], bytes]] = {
            1: bytes, 5: _lzw, 8: zlib.compress, 32773: _packbits,
        }  # fmt: skip
        made = ways[self.compression](content)
        return made.translate(_REVERSED) if self.fill_order == 2 else made

    def _tags(self, values: NDArray[np.int64], lengths: list[int]) -> dict[int, Sequence[int]]:
        height, width, count = values.shape
        tags: dict[int, Sequence[int]] = {
            256: [width], 257: [height], 258: [self.bits] * count, 259: [self.compression],
            262: [self.photometric], 277: [count], 284: [self.planar],
            339: [self.sample_format] * count,
        }  # fmt: skip
        if self.extra:
            tags[338] = self.extra
        if self.fill_order != 1:
            tags[266] = [self.fill_order]
        if self.tile:
            tags |= {322: [self.tile], 323: [self.tile], 324: [0] * len(lengths), 325: lengths}
        else:
            tags |= {278: [self.rows], 273: [0] * len(lengths), 279: lengths}
        tags |= self.more
        return {tag: tags[tag] for tag in sorted(tags) if tag not in self.without}

    def _directory(self, tags: Mapping[int, Sequence[int]], begin: int, behind: int) -> bytes:
        entries, values = struct.pack(f"{self.order}H", len(tags)), b""
        at = begin + 2 + 12 * len(tags) + 4
        for tag in sorted(tags):
            kind = _LONG if tag in (273, 279, 324, 325) else _SHORT
            content = struct.pack(f"{self.order}{len(tags[tag])}{' HL'[kind - 2]}", *tags[tag])
            entries += struct.pack(f"{self.order}HHL", tag, kind, len(tags[tag]))
            if len(content) <= 4:
                entries += content.ljust(4, b"\0")
                continue
            entries += struct.pack(f"{self.order}L", at + len(values))
            values += content
        return entries + struct.pack(f"{self.order}L", behind) + values


def _lzw(content: bytes) -> bytes:
    """Literals of nine bits, the table cleared before it grows beyond them."""
    codes: list[int] = []
    for at in range(0, len(content), 250):
        codes += [256, *content[at : at + 250]]
    return packed(np.array([[*codes, 257]]), 9)


def _packbits(content: bytes) -> bytes:
    """Runs of three to 128 equal octets, and up to 128 octets as they are."""
    out, done = bytearray(), 0
    for run in re.finditer(rb"(.)\1{2,127}", content, re.DOTALL):
        out += _as_they_are(content[done : run.start()])
        done = run.end()
        out += bytes([257 - (done - run.start())]) + run[1]
    return bytes(out + _as_they_are(content[done:]))


def _as_they_are(content: bytes) -> bytes:
    parts = (content[at : at + 128] for at in range(0, len(content), 128))
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def png(values: NDArray[np.int64], bits: int, colour: int, more: bytes = b"") -> bytes:
    """A PNG; ``colour`` 0 is grey, 2 RGB, 3 palette, 4 grey and 6 RGB with alpha."""
    content = packed(values, bits)
    row = len(content) // len(values)
    lines = b"".join(b"\0" + content[at : at + row] for at in range(0, len(content), row))
    header = struct.pack(">LLBBBBB", values.shape[1], len(values), bits, colour, 0, 0, 0)
    return b"".join((
        b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), more,
        png_chunk(b"IDAT", zlib.compress(lines)), png_chunk(b"IEND", b""),
    ))  # fmt: skip


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


@dataclass(frozen=True, kw_only=True)
class Bmp:
    """How a BMP holds its samples; ``compression`` is 1 for runs, 3 for the masks behind it."""

    bits: int
    compression: int = 0
    masks: tuple[int, ...] = ()
    palette: bytes = b""
    top_down: bool = False

    def write(self, values: NDArray[np.int64]) -> bytes:
        """The file of (height, width) samples of ``bits``."""
        height, width = values.shape
        lines = values if self.top_down else values[::-1]
        if self.compression == 1:
            content = _runs(lines)
        else:
            content = packed(lines, self.bits, "<")
            row = len(content) // height
            pad = bytes(-row % 4)
            content = b"".join(content[at : at + row] + pad for at in range(0, len(content), row))
        between = struct.pack(f"<{len(self.masks)}L", *self.masks) + self.palette
        begin = 54 + len(between)
        header = struct.pack(
            "<LllHHLLllLL", 40, width, -height if self.top_down else height, 1, self.bits,
            self.compression, len(content), 0, 0, 0, 0,
        )  # fmt: skip
        file = b"BM" + struct.pack("<LHHL", begin + len(content), 0, 0, begin)
        return file + header + between + content


def _runs(lines: NDArray[np.int64]) -> bytes:
    """RLE8: literal runs of up to 200 pixels, ends of lines, and the end of the picture."""
    out = b""
    for line in lines.astype(np.uint8):
        for at in range(0, len(line), 200):
            run = line[at : at + 200].tobytes()
            out += bytes([0, len(run)]) + run + bytes(len(run) % 2)
        out += b"\0\0"
    return out + b"\0\1"
