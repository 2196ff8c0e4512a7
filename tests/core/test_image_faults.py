"""Files that can't be used, built by hand and by chance: each says why."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from PIL import Image

from pcb_spark.core import images, names
from pcb_spark.core.errors import ImageError
from tests.core.pictures import (
    GREY,
    KINDS,
    bmp_header,
    grey16,
    jpeg_header,
    noise,
    png_header,
    solid,
)


def reason(data: bytes, **options: int) -> str:
    """Reason with which ``decode`` refuses; ``inspect`` has to agree."""
    with pytest.raises(ImageError) as decoding:
        images.decode(data, **options)
    with pytest.raises(ImageError) as inspecting:
        images.inspect(data, **options)
    assert decoding.value.reason == inspecting.value.reason
    assert decoding.value.reason in names.IMAGE_REASONS
    return decoding.value.reason


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", "empty_file", id="no bytes"),
        pytest.param(b"this is no picture\n", "not_an_image", id="text"),
        pytest.param(b"BMW ordered 300 boards, see below\n", "not_an_image", id="text like a BMP"),
        pytest.param(b"\x00" * 5000, "not_an_image", id="zeros"),
        pytest.param(solid("L", 77, "GIF"), "not_an_image", id="gif"),
        pytest.param(grey16(1, "TIFF", "F"), "unsupported_image", id="float"),
        pytest.param(grey16(65_536, "TIFF", "I"), "unsupported_image", id="above 16 bits"),
        pytest.param(grey16(-1, "TIFF", "I"), "unsupported_image", id="negative"),
        pytest.param(solid("LAB", GREY, "TIFF"), "unsupported_image", id="lab"),
        pytest.param(png_header(20_000, 20_000), "too_many_pixels", id="png bomb"),
        pytest.param(png_header(7_072, 7_072), "too_many_pixels", id="png above the limit"),
        pytest.param(png_header(10_000, 10_000), "too_many_pixels", id="where Pillow warns"),
        pytest.param(png_header(1, 70_000), "too_many_pixels", id="png too high"),
        pytest.param(bmp_header(20_000, 20_000), "too_many_pixels", id="bmp bomb"),
        pytest.param(bmp_header(0, 20), "unsupported_image", id="no width"),
        pytest.param(jpeg_header(20_000, 20_000), "too_many_pixels", id="jpeg bomb"),
        pytest.param(jpeg_header(9_000, 9_000), "too_many_pixels", id="jpeg above the limit"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_the_pixel_limit_is_the_callers() -> None:
    data = solid("L", 77, "PNG", size=(10, 10))
    assert reason(data, max_pixels=99) == "too_many_pixels"
    assert images.inspect(data, max_pixels=100).width == 10


@pytest.mark.parametrize(
    ("tag", "stored", "changed"),
    [
        pytest.param(258, 16, 12, id="12 bits"),
        pytest.param(262, 1, 0, id="white is zero"),
        pytest.param(258, 16, 13, id="13 bits"),
    ],
)
def test_grey_of_unknown_scale_is_refused(tag: int, stored: int, changed: int) -> None:
    entry, other = (struct.pack("<HHLHH", tag, 3, 1, value, 0) for value in (stored, changed))
    data = grey16(0x4D00, "TIFF")
    assert data.count(entry) == 1
    assert reason(data.replace(entry, other)) == "unsupported_image"


def test_a_complete_png_with_bad_pixels_is_damaged() -> None:
    data = noise("PNG")
    middle = data.index(b"IDAT") + 2000
    assert reason(data[:middle] + b"\xff" * 99 + data[middle + 99 :]) == "damaged_image"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = solid("L", 77, "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert images.inspect(data[:-2] + scan * 80 + b"\xff\xd9").width == 40
    assert reason(data[:-2] + scan * 200 + b"\xff\xd9") == "unsupported_image"


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_truncated(kind: str) -> None:
    data = KINDS[kind]
    last = len(data) - (24 if kind == "png" else 1)  # what follows a PNG's pixels isn't needed
    for length in [*range(20, 200, 7), *range(200, last, last // 40), *range(last - 9, last + 1)]:
        assert reason(data[:length]) == "truncated_image", length


def test_a_cut_jpeg_is_truncated_in_draft_mode_too() -> None:
    data = noise("JPEG", size=(900, 700))
    assert images._read(data, 10**6).pixels.size == (450, 350)
    for percent in (5, 50, 95, 99):
        assert reason(data[: len(data) * percent // 100]) == "truncated_image"
    assert reason(data[:-2]) == "truncated_image"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (SyntaxError("broken"), "damaged_image"),
        (struct.error("short"), "damaged_image"),
        (zlib.error("bad"), "damaged_image"),
        (OverflowError("huge"), "damaged_image"),
        (RecursionError("deep"), "damaged_image"),
        (AssertionError(), "damaged_image"),
        (UserWarning("turned into an error"), "damaged_image"),
        (OSError("image file is truncated"), "truncated_image"),
        (MemoryError(), "too_many_pixels"),
        (Image.DecompressionBombWarning("large"), "too_many_pixels"),
    ],
)
def test_no_fault_of_pillow_escapes(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(Image, "open", fail)
    assert reason(KINDS["jpeg"]) == expected


def mutate(data: bytes, source: random.Random) -> bytes:
    """Overwrite, drop or repeat a few short stretches, most of them near the header."""
    out = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = int(len(out) * source.random() ** 2)
        stretch = source.randint(1, 8)
        other = source.choice(
            [source.randbytes(stretch), b"", b"\xff" * stretch, bytes(out[at:][:40])]
        )
        out[at : at + stretch] = other
    return bytes(out)


def outcome(data: bytes) -> str:
    try:
        pixels = images.decode(data)
    except ImageError as error:
        return error.reason
    return "decoded" if pixels.shape == (3, 224, 224) else "wrong shape"


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged tags and reads on
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_decoded_or_refused(kind: str) -> None:
    source = random.Random(f"2026 {kind}")
    outcomes = {outcome(mutate(KINDS[kind], source)) for _ in range(40)}
    assert outcomes <= {"decoded", *names.IMAGE_REASONS}
    assert outcomes & set(names.IMAGE_REASONS)
