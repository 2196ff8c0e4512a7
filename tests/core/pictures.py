"""Images built by hand with Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (77, 77, 77)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode: str, colour: Any, kind: str, size: tuple[int, int] = (40, 30), **opt: Any) -> bytes:
    return encode(Image.new(mode, size, colour), kind, **opt)


def noise(kind: str, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    pixels = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels).convert(mode), kind, **options)


def palette_png(**options: Any) -> bytes:
    image = Image.new("P", (40, 30), 1)
    image.putpalette([0, 0, 0, *RED])
    return encode(image, "PNG", **options)


def grey16(value: int, kind: str, mode: str = "I;16") -> bytes:
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}[mode]
    raw = np.full((30, 40), value, dtype=dtype).tobytes()
    return encode(Image.frombytes(mode, (40, 30), raw), kind)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    header = struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<LHHL", 54, 0, 0, 54) + header


def jpeg_header(width: int, height: int) -> bytes:
    data = solid("RGB", RED, "JPEG")
    return data.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", height, width), 1)


def tiff_directory_first() -> bytes:
    """Compressed TIFF as many writers lay it out: directory, values, then two strips of pixels."""
    rows = np.random.default_rng(7).integers(0, 256, (2, 24, 64), dtype=np.uint8)
    strips = [zlib.compress(strip.tobytes()) for strip in rows]
    values = 8 + 2 + 9 * 12 + 4
    first, second = values + 16, values + 16 + len(strips[0])
    tags = [
        (256, 3, 1, 64),
        (257, 3, 1, 48),
        (258, 3, 1, 8),
        (259, 3, 1, 8),  # deflate
        (262, 3, 1, 1),
        (273, 4, 2, values),
        (277, 3, 1, 1),
        (278, 3, 1, 24),
        (279, 4, 2, values + 8),
    ]
    directory = struct.pack("<H", 9) + b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    extents = struct.pack("<LLLL", first, second, len(strips[0]), len(strips[1]))
    return b"II*\0\x08\0\0\0" + directory + b"\0\0\0\0" + extents + b"".join(strips)


KINDS = {
    "jpeg": noise("JPEG"),
    "progressive": noise("JPEG", progressive=True),
    "png": noise("PNG"),
    "bmp": noise("BMP"),
    "webp": noise("WEBP"),
    "tiff": noise("TIFF"),
    "tiff lzw": noise("TIFF", compression="tiff_lzw"),
    "tiff jpeg": noise("TIFF", compression="jpeg"),
    "tiff deflate": tiff_directory_first(),
    "bigtiff": noise("TIFF", compression="tiff_lzw", big_tiff=True),
}
