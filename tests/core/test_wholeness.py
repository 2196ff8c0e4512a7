"""Files whose end was never written: cut off, or zeros in its place."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core import images
from pcb_spark.core.errors import ImageError
from tests.core import fuzzing
from tests.core.image_kinds import Bmp, Tiff, samples


def more_tiffs() -> Iterator[bytes]:
    """Several strips or tiles, the directory before or behind them."""
    values = samples(3, 8)[:60, :61]
    for compression in (5, 8, 32773):
        for layout in ({"rows": 7}, {"tile": 16}):
            for first in (True, False):
                yield Tiff(
                    photometric=2, compression=compression, directory_first=first,
                    rows=layout.get("rows", 60), tile=layout.get("tile", 0),
                ).write(values)  # fmt: skip


RUNS = Bmp(bits=8, compression=1, palette=bytes(range(256)) * 4).write(samples(1, 8)[:40, :61, 0])
FILES = [
    *((kind, data) for kind in fuzzing.READ for data in fuzzing.originals()[kind]),
    *(("TIFF", data) for data in more_tiffs()),
    ("BMP", RUNS),
]


def outcome(data: bytes) -> bytes | str:
    """The pixels, or the reason that there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged tags
            return images.decode(data).tobytes()
    except ImageError as error:
        return error.reason


def lengths(data: bytes) -> list[int]:
    """Some lengths everywhere, all of them near the end."""
    size = len(data)
    return sorted({*range(0, size, max(1, size // 60)), *range(max(0, size - 120), size)})


@pytest.mark.parametrize("at", range(len(FILES)))
def test_every_cut_is_refused_or_loses_nothing(at: int) -> None:
    _, data = FILES[at]
    whole = outcome(data)
    assert isinstance(whole, bytes)
    for length in lengths(data):
        found = outcome(data[:length])
        assert found == whole or isinstance(found, str), length


def has_end_mark(kind: str, data: bytes) -> bool:
    """Of what has none, fewer than four zeros are not seen."""
    if kind == "TIFF":
        with Image.open(io.BytesIO(data)) as image:
            return str(image.info["compression"]) != "packbits"
    return kind != "WEBP"


def can_tell_black_from_missing(kind: str, data: bytes) -> bool:
    """Uncompressed pixels are what they are; the code of a lossy WebP may end in zeros."""
    if kind == "TIFF":
        with Image.open(io.BytesIO(data)) as image:
            return str(image.info["compression"]) != "raw"
    return (kind != "BMP" or data is RUNS) and b"VP8 " not in data[:64]


@pytest.mark.parametrize(
    "at", [n for n, (kind, data) in enumerate(FILES) if can_tell_black_from_missing(kind, data)]
)
def test_zeros_in_place_of_the_end_are_refused_or_change_nothing(at: int) -> None:
    kind, data = FILES[at]
    whole = outcome(data)
    for length in lengths(data):
        if length > len(data) - 4 and not has_end_mark(kind, data):
            continue  # as its docstring says
        found = outcome(data[:length] + bytes(len(data) - length))
        assert found == whole or isinstance(found, str), length


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_zeros_of_uncompressed_pixels_are_black(kind: str) -> None:
    data = next(d for k, d in FILES if k == kind and not can_tell_black_from_missing(k, d))
    assert isinstance(outcome(data[:-50] + bytes(50)), bytes)


def lossy_webp(seed: int) -> bytes:
    file = io.BytesIO()
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (90, 120, 3)) // (1 + seed % 3) * (rng.random((90, 1, 1)) < 0.7)
    Image.fromarray(pixels.astype(np.uint8)).save(file, "WEBP", quality=60 + seed)
    return file.getvalue()


def test_most_zeros_at_the_end_of_a_lossy_webp_are_seen() -> None:
    seen = total = 0
    for seed in range(20):
        data = lossy_webp(seed)
        whole = outcome(data)
        assert isinstance(whole, bytes)
        for share in (0.5, 0.8, 0.95):
            length = int(len(data) * share)
            found = outcome(data[:length] + bytes(len(data) - length))
            total += found != whole
            seen += isinstance(found, str)
    assert total > 40
    assert seen >= 0.9 * total


def test_what_follows_the_end_is_no_matter() -> None:
    for kind, data in FILES:
        if kind in ("JPEG", "PNG", "WEBP"):
            assert outcome(data + b"\0\1maker's notes") == outcome(data), kind


def test_a_file_that_lost_its_end_is_truncated() -> None:
    for kind, data in FILES:
        assert outcome(data[: len(data) // 2]) == "truncated_image", kind
