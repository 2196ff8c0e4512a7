"""Images built by hand with Pillow, and what must come out of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core import images
from tests.core.pictures import (
    BLUE,
    GREEN,
    GREY,
    KINDS,
    RED,
    encode,
    grey16,
    noise,
    palette_png,
    solid,
)


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
