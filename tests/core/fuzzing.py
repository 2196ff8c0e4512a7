"""Mutated image files, and a worker process that reads them.

``python -m tests.fuzzing SEED FIRST COUNT PROGRESS`` reads the files numbered FIRST to
FIRST + COUNT - 1 with ``images.decode`` and ``images.inspect`` and writes a report as JSON. The
same SEED and number make the same file, so that one case can be read alone. The number of the file
that is being read stands in the file PROGRESS: a crash of native code leaves nothing else behind.
"""

from __future__ import annotations

import collections
import faulthandler
import functools
import io
import json
import os
import random
import resource
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pcb_spark.core import images, names
from pcb_spark.core.errors import ImageError

#: No file may take longer, s; a worker that exceeds it ends with a traceback and exit code 1.
LONGEST = 5
#: Address space of a worker beyond what it has before the first file, bytes: 17 a pixel, which
#: WebP takes, for the 50 million pixels that are read at most, and as much for resizing.
MORE_MEMORY = 2 * 17 * images.DEFAULT_MAX_PIXELS

#: The formats of ``originals`` that are read; all others have to be refused.
READ = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")

_LARGE_SHARE = 0.004  # they take a hundred times as long
_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (0, 1, 2, 255, 256, 4096, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
#: Where headers and directories sit in most formats, bytes.
_HEAD = 96


@dataclass(kw_only=True)
class Report:
    """What a worker found; ``faults`` says case and exception of what should not have been."""

    decoded: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slowest_case: int = -1
    peak_mb: int = 0


def _picture(mode: str, size: tuple[int, int]) -> Image.Image:
    """Smooth shapes and some noise, as a camera's picture has."""
    width, height = size
    rng = np.random.default_rng(width * height)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 5 + k) * 60 + np.cos(y / (4 + k)) * 60 + 128 for k in range(3)]
    pixels = np.stack(waves, axis=2) + rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def _encoded(kind: str, mode: str, size: tuple[int, int] = (61, 47), **options: Any) -> bytes:
    file = io.BytesIO()
    _picture(mode, size).save(file, kind, **options)
    return file.getvalue()


def _grey16(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(61 * 47, dtype=np.uint16).reshape(47, 61) * 20).save(file, kind)
    return file.getvalue()


def _turned(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "board"
    return _encoded(kind, "RGB", exif=exif)


@functools.cache
def originals() -> dict[str, tuple[bytes, ...]]:
    """Sound files by format: five that are read, five that are refused."""
    return {
        "JPEG": (
            _encoded("JPEG", "RGB"),
            _encoded("JPEG", "L", quality=90),
            _encoded("JPEG", "RGB", progressive=True),
            _encoded("JPEG", "CMYK"),
            _encoded("JPEG", "RGB", (500, 460), quality=40),
            _encoded("JPEG", "L", restart_marker_blocks=2),
            _turned("JPEG"),
        ),
        "PNG": (
            *(_encoded("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
            _grey16("PNG"),
            _turned("PNG"),
        ),
        "TIFF": (
            *(_encoded("TIFF", mode) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK")),
            *(
                _encoded("TIFF", "RGB", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
            ),
            _encoded("TIFF", "1", compression="group4"),
            _encoded("TIFF", "RGB", big_tiff=True),
            _grey16("TIFF"),
            _turned("TIFF"),
        ),
        "BMP": tuple(_encoded("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")),
        "WEBP": (
            _encoded("WEBP", "RGB"),
            _encoded("WEBP", "RGBA"),
            _encoded("WEBP", "RGB", lossless=True),
            _turned("WEBP"),
        ),
        "GIF": (_encoded("GIF", "P"),),
        "JPEG2000": (_encoded("JPEG2000", "RGB"),),
        "PPM": (_encoded("PPM", "RGB"), _encoded("PPM", "L")),
        "ICO": (_encoded("ICO", "RGBA", (32, 32)),),
        "TGA": (_encoded("TGA", "RGB"),),
    }


@functools.cache
def large() -> dict[str, bytes]:
    """Files of a few KB that hold 20 to 45 million pixels; decoding them takes real memory."""
    return {
        "JPEG": _flat("JPEG", "RGB", (5000, 4000), progressive=True),
        "PNG": _flat("PNG", "RGBA", (5000, 4000)),
        "TIFF": _flat("TIFF", "RGB", (9000, 5000), compression="tiff_adobe_deflate"),
        "WEBP": _flat("WEBP", "RGB", (5000, 4000), lossless=True, method=0),
    }


def _flat(kind: str, mode: str, size: tuple[int, int], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, "green").save(file, kind, **options)
    return file.getvalue()


def case(seed: int, number: int) -> tuple[str, bytes]:
    """The format and the bytes of one mutated file."""
    rng = random.Random(f"{seed} {number}")
    formats = originals()
    others = [name for name in formats if name not in READ]
    kinds = READ if rng.random() < 0.8 else others
    kind = rng.choice(kinds)
    file = rng.choice(formats[kind])
    if rng.random() < _LARGE_SHARE:
        kind, file = rng.choice([*large().items()])
    data = bytearray(file)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        rng.choice(MUTATIONS)(rng, data)
    if kind == "PNG" and rng.random() < 0.7:
        _mend_png(data)
    return kind, bytes(data)


def _place(rng: random.Random, data: bytearray) -> int:
    end = len(data) if rng.random() < 0.6 else min(_HEAD, len(data))
    return rng.randrange(max(end, 1))


def _stretch(rng: random.Random, data: bytearray) -> slice:
    start = _place(rng, data)
    return slice(start, start + rng.choice((1, 4, 16, 64, 512)))


def _flip_bit(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _set_byte(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] = rng.choice((*_BYTES, rng.randrange(256)))


def _set_number(rng: random.Random, data: bytearray) -> None:
    start, width = _place(rng, data), rng.choice((2, 4))
    value = rng.choice(_NUMBERS) % 256**width
    data[start : start + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _cut_off(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _delete(rng: random.Random, data: bytearray) -> None:
    del data[_stretch(rng, data)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    stretch = _stretch(rng, data)
    data[stretch.start : stretch.start] = data[stretch] * rng.choice((1, 2, 50))


def _blank(rng: random.Random, data: bytearray) -> None:
    stretch = _stretch(rng, data)
    data[stretch] = bytes([rng.choice(_BYTES)]) * len(data[stretch])


def _insert(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    data[start:start] = rng.randbytes(rng.choice((1, 3, 32, 300)))


def _graft(rng: random.Random, data: bytearray) -> None:
    """Go on with the rest of another file, perhaps of another format."""
    other = rng.choice(rng.choice([*originals().values()]))
    data[_place(rng, data) :] = other[rng.randrange(len(other)) :]


#: What changes a file in one place; the last goes on with another picture.
MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip_bit, _set_byte, _set_number, _cut_off, _delete, _repeat, _blank, _insert, _graft,
)  # fmt: skip


def _mend_png(data: bytearray) -> None:
    """Set the checksums right, or every damaged chunk would end at its checksum."""
    start = 8
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        if end + 4 > len(data):
            return
        data[end : end + 4] = zlib.crc32(data[start + 4 : end]).to_bytes(4, "big")
        start = end + 4


def _outcome(read: Callable[[bytes], object], data: bytes) -> str:
    """``""`` where the file was read, else the reason."""
    try:
        read(data)
    except ImageError as error:
        return error.reason
    return ""


def _decode(data: bytes) -> None:
    pixels = images.decode(data)
    if pixels.shape != (3, images.SIDE, images.SIDE) or pixels.dtype != np.uint8:
        message = f"{pixels.dtype} {pixels.shape}"
        raise AssertionError(message)


def check(data: bytes, report: Report) -> None:
    """Read one file both ways and count what came of it."""
    reason = _outcome(_decode, data)
    inspected = _outcome(images.inspect, data)
    if inspected != reason:
        message = f"decode says {reason!r}, inspect {inspected!r}"
        raise AssertionError(message)
    if reason not in ("", *names.IMAGE_REASONS):
        message = f"unknown reason {reason}"
        raise AssertionError(message)
    if reason:
        report.rejected[reason] = report.rejected.get(reason, 0) + 1
    else:
        report.decoded += 1


def peak_resident_mb() -> int:
    """Most memory that this program held, MB; getrusage would count what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def work(seed: int, first: int, count: int, progress: int) -> Report:
    """Read the files; ``progress`` is the descriptor that the current number is written to."""
    report = Report()
    formats: collections.Counter[str] = collections.Counter()
    for number in range(first, first + count):
        os.pwrite(progress, f"{number:>12}".encode(), 0)
        kind, data = case(seed, number)
        formats[kind] += 1
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        began = time.perf_counter()
        try:
            check(data, report)
        except Exception as error:  # noqa: BLE001  whatever it is goes into the report
            report.faults.append(f"case {number} ({kind}): {type(error).__name__}: {error}")
        taken = time.perf_counter() - began
        faulthandler.cancel_dump_traceback_later()
        if taken > report.slowest:
            report.slowest, report.slowest_case = taken, number
    report.formats = dict(formats)
    report.peak_mb = peak_resident_mb()
    return report


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(arguments: list[str]) -> int:
    """Run one worker."""
    seed, first, count = map(int, arguments[:3])
    originals(), large()
    _limit_memory()
    faulthandler.enable()
    progress = os.open(arguments[3], os.O_CREAT | os.O_WRONLY)
    report = work(seed, first, count, progress)
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
