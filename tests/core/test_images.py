"""Images built by hand with Pillow, and what must come out of them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core import images, names
from pcb_spark.core.errors import ImageError

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


def reason(data: bytes, **options: int) -> str:
    """Reason with which ``decode`` refuses; ``inspect`` has to agree."""
    with pytest.raises(ImageError) as decoding:
        images.decode(data, **options)
    with pytest.raises(ImageError) as inspecting:
        images.inspect(data, **options)
    assert decoding.value.reason == inspecting.value.reason
    assert decoding.value.reason in names.IMAGE_REASONS
    return decoding.value.reason


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


@pytest.mark.parametrize(
    ("data", "expected", "tolerance"),
    [
        pytest.param(solid("RGB", RED, "JPEG"), RED, 2, id="jpeg rgb"),
        pytest.param(solid("L", 77, "JPEG"), GREY, 1, id="jpeg grey"),
        pytest.param(solid("CMYK", (0, 255, 255, 0), "JPEG"), RED, 3, id="jpeg cmyk"),
        pytest.param(solid("1", 1, "PNG"), (255, 255, 255), 0, id="png bilevel"),
        pytest.param(solid("L", 77, "PNG"), GREY, 0, id="png grey"),
        pytest.param(solid("LA", (77, 0), "PNG"), GREY, 0, id="png grey, transparent"),
        pytest.param(solid("RGB", BLUE, "PNG"), BLUE, 0, id="png rgb"),
        pytest.param(solid("RGBA", (9, 8, 7, 0), "PNG"), (9, 8, 7), 0, id="png transparent"),
        pytest.param(palette_png(), RED, 0, id="png palette"),
        pytest.param(palette_png(transparency=b"\x00\x80"), RED, 0, id="png palette with alpha"),
        pytest.param(solid("RGB", RED, "TIFF"), RED, 0, id="tiff rgb"),
        pytest.param(solid("RGB", RED, "TIFF", compression="jpeg"), RED, 2, id="tiff jpeg"),
        pytest.param(solid("RGB", RED, "TIFF", compression="tiff_lzw"), RED, 0, id="tiff lzw"),
        pytest.param(solid("RGB", RED, "TIFF", big_tiff=True), RED, 0, id="bigtiff"),
        pytest.param(solid("RGBA", (9, 8, 7, 0), "TIFF"), (9, 8, 7), 0, id="tiff transparent"),
        pytest.param(solid("CMYK", (255, 0, 255, 0), "TIFF"), GREEN, 0, id="tiff cmyk"),
        pytest.param(solid("YCbCr", (76, 85, 255), "TIFF"), RED, 2, id="tiff ycbcr"),
        pytest.param(solid("1", 1, "TIFF"), (255, 255, 255), 0, id="tiff bilevel"),
        pytest.param(solid("RGB", GREEN, "BMP"), GREEN, 0, id="bmp rgb"),
        pytest.param(solid("L", 77, "BMP"), GREY, 0, id="bmp grey"),
        pytest.param(solid("RGB", RED, "WEBP", lossless=True), RED, 0, id="webp"),
        pytest.param(
            solid("RGBA", (9, 8, 7, 255), "WEBP", lossless=True), (9, 8, 7), 0, id="webp a"
        ),
        pytest.param(grey16(0xFFFF, "PNG"), (255, 255, 255), 0, id="png 16 bits, white"),
        pytest.param(grey16(0x4DFF, "PNG"), GREY, 0, id="png 16 bits, high byte"),
        pytest.param(grey16(0x4D00, "TIFF"), GREY, 0, id="tiff 16 bits"),
        pytest.param(grey16(0x4DFF, "TIFF", "I;16B"), GREY, 0, id="tiff 16 bits, big-endian"),
        pytest.param(grey16(0x4D80, "TIFF", "I"), GREY, 0, id="tiff 32 bits"),
    ],
)
def test_a_colour_survives_each_format(
    data: bytes, expected: tuple[int, int, int], tolerance: int
) -> None:
    pixels = images.decode(data)
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous or np.shares_memory(pixels[0], pixels[2])
    assert pixels[0].flags.c_contiguous
    for channel, value in zip(pixels, expected, strict=True):
        assert abs(int(channel.min()) - value) <= tolerance
        assert abs(int(channel.max()) - value) <= tolerance


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("BMP", "BMP"), ("WEBP", "WEBP"), ("TIFF", "TIFF")],
)
def test_inspect_gives_size_and_format(kind: str, expected: str) -> None:
    info = images.inspect(solid("RGB", RED, kind, size=(31, 17)))
    assert info == images.ImageInfo(width=31, height=17, format=expected)


CORNERS = {
    "top left": (40, 40),
    "top right": (40, 184),
    "low left": (184, 40),
    "low right": (184, 184),
}


def marked(kind: str, orientation: int, size: tuple[int, int]) -> bytes:
    """As stored: red at the top left, green at the top right, the rest black."""
    half = size[0] // 2, size[1] // 2
    image = Image.new("RGB", size)
    image.paste(RED, (0, 0, *half))
    image.paste(GREEN, (half[0], 0, size[0], half[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, kind, exif=exif)


@pytest.mark.parametrize(
    ("orientation", "red", "green"),
    [
        (1, "top left", "top right"),
        (2, "top right", "top left"),
        (3, "low right", "low left"),
        (4, "low left", "low right"),
        (5, "top left", "low left"),
        (6, "top right", "low right"),
        (7, "low right", "top right"),
        (8, "low left", "top left"),
        (9, "top left", "top right"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation(kind: str, orientation: int, red: str, green: str) -> None:
    pixels = images.decode(marked(kind, orientation, (120, 60)))
    for corner, (row, column) in CORNERS.items():
        expected = RED if corner == red else GREEN if corner == green else (0, 0, 0)
        np.testing.assert_allclose(pixels[:, row, column].astype(int), expected, atol=12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("orientation", "expected"), [(3, (120, 60)), (6, (60, 120))])
def test_inspect_gives_the_size_after_rotation(
    kind: str, orientation: int, expected: tuple[int, int]
) -> None:
    info = images.inspect(marked(kind, orientation, (120, 60)))
    assert (info.width, info.height) == expected


def test_a_large_jpeg_is_rotated_as_well() -> None:
    data = marked("JPEG", 6, (2000, 1000))
    pixels = images.decode(data)
    np.testing.assert_allclose(pixels[:, 40, 184].astype(int), RED, atol=12)
    np.testing.assert_allclose(pixels[:, 184, 184].astype(int), GREEN, atol=12)
    assert images.inspect(data) == images.ImageInfo(width=1000, height=2000, format="JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_unreadable_exif_leaves_the_image_upright(kind: str) -> None:
    data = solid("RGB", GREEN, kind, exif=b"Exif\x00\x00no directory in here")
    np.testing.assert_allclose(images.decode(data)[:, 9, 9].astype(int), GREEN, atol=3)


@pytest.mark.parametrize(
    ("size", "drafted", "box"),
    [
        ((4000, 3000), (500, 375), (0, 0, 500, 375)),
        ((1001, 1001), (251, 251), (0, 0, 250.25, 250.25)),
        ((448, 900), (224, 450), (0, 0, 224, 450)),
        ((447, 900), (447, 900), (0, 0, 447, 900)),
        ((160, 160), (160, 160), (0, 0, 160, 160)),
    ],
)
def test_a_jpeg_is_reduced_while_it_is_decoded(
    size: tuple[int, int], drafted: tuple[int, int], box: tuple[float, ...]
) -> None:
    picture = images._read(solid("L", 77, "JPEG", size=size), images.DEFAULT_MAX_PIXELS)
    assert picture.size == size
    assert picture.pixels.size == drafted
    assert picture.box == box


def test_the_whole_image_is_kept() -> None:
    image = Image.new("L", (400, 100))
    image.paste(255, (200, 0, 400, 100))
    pixels = images.decode(encode(image, "PNG"))
    assert (pixels[:, :, :110] == 0).all()
    assert (pixels[:, :, 114:] == 255).all()


def test_thin_lines_are_averaged_and_not_skipped() -> None:
    stripes = np.full((224, 2240), 255, dtype=np.uint8)
    stripes[:, 5::10] = 0  # nine tenths of 255 are 229.5
    pixels = images.decode(encode(Image.fromarray(stripes), "PNG"))
    assert pixels.min() >= 225
    assert pixels.max() <= 234


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_only_the_first_frame_is_read(kind: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, BLUE)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(images.decode(data)[:, 100, 100].astype(int), RED, atol=3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_give_the_same_pixels(kind: str) -> None:
    first, second = images.decode(KINDS[kind]), images.decode(bytes(bytearray(KINDS[kind])))
    assert first.tobytes() == second.tobytes()


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


@pytest.mark.parametrize(
    ("flat", "value", "word", "expected"),
    [
        (0, 1, 0, 1),
        (5, 200, 5, 200),
        (18_816, 1, 0, 1 << 8),
        (3 * 18_816 + 7, 9, 7, 9 << 24),
        (7 * 18_816, 127, 0, 127 << 56),
        (150_527, 128, 18_815, -(1 << 63)),
    ],
)
def test_pack_puts_each_pixel_into_its_byte(
    flat: int, value: int, word: int, expected: int
) -> None:
    pixels = np.zeros((3, 224, 224), dtype=np.uint8)
    pixels.reshape(-1)[flat] = value
    words = images.pack(pixels)
    assert words.shape == (18_816,)
    assert words.dtype == np.int64
    assert np.flatnonzero(words).tolist() == [word]
    assert words[word] == expected


def test_a_grey_file_takes_the_memory_of_one_channel() -> None:
    pixels = images.decode(noise("PNG", "L"))
    assert np.shares_memory(pixels[0], pixels[2])
    assert images.is_grey(pixels)
    np.testing.assert_array_equal(images.pack(pixels), images.pack(pixels.copy()))
