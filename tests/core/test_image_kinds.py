"""Every kind of pixel that the formats allow is read as a second decoder reads it, or refused."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pcb_spark.core import images
from pcb_spark.core.errors import ImageError
from tests.core.image_kinds import SIDE, Bmp, Tiff, eight_bits, packed, png, png_chunk, samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PALETTE = np.random.default_rng(3).integers(0, 256, (3, 256))
#: Photometric interpretation and samples a pixel.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = (0, 1), (1, 1), (2, 3), (3, 1), (5, 4)


def shown(values: NDArray[np.int64], photometric: int, bits: int) -> NDArray[np.int64]:
    """(3, 224, 224) of what samples without extra ones show."""
    if photometric == 3:
        return np.asarray(_PALETTE[:, values[..., 0]])
    levels = np.moveaxis(eight_bits(values, bits), 2, 0)
    if photometric == 5:
        return np.asarray((255 - levels[:3]) * (255 - levels[3]) // 255)
    inverted = 255 - levels if photometric == 0 else levels
    return np.broadcast_to(inverted, (3, SIDE, SIDE))


def by_tifffile(data: bytes) -> NDArray[np.int64] | None:
    """The samples of a TIFF, (224, 224, n); None where tifffile needs libraries in C."""
    try:
        found = tifffile.imread(io.BytesIO(data))
    except (ValueError, IndexError, NotImplementedError):
        return None
    planes = found if found.ndim == 3 else found[..., None]
    planes = np.moveaxis(planes, 0, 2) if planes.shape[0] < 8 else planes
    return np.asarray(planes).astype(np.int64)


def kinds() -> Iterator[tuple[tuple[int, int], Tiff]]:
    """Of every way to hold samples all bits, extra samples and formats that are to be had."""
    layouts: tuple[dict[str, int], ...] = ({}, {"rows": 50}, {"tile": 64}, {"tile": 256})
    colours = WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK
    for order, planar, layout, colour in itertools.product("<>", (1, 2), layouts, colours):
        for bits, extra in itertools.product((1, 2, 4, 8, 10, 12, 14, 16, 32), ((), (0,), (2,))):
            if colour == PALETTE and bits > 8:
                continue
            more = {}
            if colour == PALETTE:
                more = {320: (_PALETTE[:, : 2**bits] * 257).reshape(-1).tolist()}
            how: dict[str, Any] = {
                "order": order, "planar": planar, "photometric": colour[0], "bits": bits,
                "extra": extra, "more": more, **layout,
            }  # fmt: skip
            yield colour, Tiff(**how)
            if not extra and planar == 1:
                yield colour, Tiff(**how, fill_order=2)
                yield colour, Tiff(**how, sample_format=2)
            if bits in (1, 4, 8, 16) and not extra:
                yield from ((colour, Tiff(**how, compression=way)) for way in (5, 8, 32773))


def test_every_tiff_is_read_as_its_samples_say_or_refused() -> None:
    read = checked = 0
    for (photometric, count), tiff in kinds():
        values = samples(count + len(tiff.extra), tiff.bits)
        data = tiff.write(values)
        found = decoded_or_refused(data)
        if found is None:
            continue
        read += 1
        expected = shown(values[..., :count], photometric, tiff.bits)
        assert np.abs(found - expected).max() <= (2 if photometric == 5 else 0), tiff
        assert tiff.sample_format == 1 or tiff.bits == 32, tiff
        second = by_tifffile(data) if tiff.fill_order == 1 else None
        if second is not None:
            assert (second == values).all(), tiff
            checked += 1
    assert read > 300
    assert checked > 200


@pytest.mark.parametrize(
    ("tiff", "count"),
    [
        pytest.param(Tiff(bits=8, sample_format=2), 1, id="signed 8 bits"),
        pytest.param(Tiff(bits=16, sample_format=2), 1, id="signed 16 bits"),
        pytest.param(Tiff(bits=12), 1, id="12 bits"),
        pytest.param(Tiff(bits=16, photometric=2, planar=2), 3, id="planes of 16 bits"),
        pytest.param(Tiff(bits=8, photometric=0, planar=2), 1, id="inverted plane"),
        pytest.param(Tiff(bits=8, without=(262,)), 1, id="white or black is zero"),
        pytest.param(Tiff(bits=8, more={317: [2]}), 1, id="predictor without compression"),
        pytest.param(Tiff(bits=8, photometric=6), 3, id="subsampled, uncompressed"),
        pytest.param(
            Tiff(bits=8, photometric=3, more={320: _PALETTE.reshape(-1).tolist()}), 1,
            id="palette of 8 bits",
        ),
    ],
)  # fmt: skip
def test_what_pillow_shows_otherwise_is_refused(tiff: Tiff, count: int) -> None:
    values = samples(count, tiff.bits) // 2  # so that no sign is set
    with pytest.raises(ImageError) as refused:
        images.decode(tiff.write(values))
    assert refused.value.reason == "unsupported_image"


@pytest.mark.parametrize("compression", [5, 8])
@pytest.mark.parametrize("planar", [1, 2])
def test_ycbcr_of_full_resolution_is_read(compression: int, planar: int) -> None:
    colours = np.moveaxis(shown(samples(3, 8), 2, 8), 0, 2).astype(np.uint8)
    values = np.asarray(Image.fromarray(colours).convert("YCbCr")).astype(np.int64)
    tiff = Tiff(photometric=6, planar=planar, compression=compression, more={530: [1, 1]})
    found = images.decode(tiff.write(values))
    assert np.abs(found - np.moveaxis(colours.astype(int), 2, 0)).max() <= 4


def by_opencv(data: bytes) -> NDArray[np.int64] | None:
    """(3, 224, 224), RGB; None where OpenCV can't read it."""
    found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if found is None else np.moveaxis(found[..., ::-1].astype(np.int64), 2, 0)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("colour", [0, 2, 3, 4, 6])
@pytest.mark.parametrize("transparent", [False, True])
def test_every_png_is_read_as_opencv_reads_it(bits: int, colour: int, transparent: bool) -> None:
    if bits not in {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}.get(colour, (8, 16)):
        return  # PNG has no such kind
    count = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    values = samples(count, bits)
    more = b""
    if colour == 3:
        more = png_chunk(b"PLTE", _PALETTE[:, : 2**bits].T.astype(np.uint8).tobytes())
    if transparent and colour in (0, 2, 3):
        more += png_chunk(b"tRNS", {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: bytes(2)}[colour])
    data = png(values, bits, colour, more)
    found = images.decode(data)
    photometric = 3 if colour == 3 else 1 if count < 3 else 2
    np.testing.assert_array_equal(
        found, shown(values[..., : 3 if count > 2 else 1], photometric, bits)
    )
    second = by_opencv(data)
    assert second is not None
    assert np.abs(found - second).max() <= 1


_GREYS = {bits: np.repeat(np.arange(2**bits) * 255 // (2**bits - 1), 4) for bits in (1, 4, 8)}


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("bits", "compression", "masks"),
    [
        (1, 0, ()), (4, 0, ()), (8, 0, ()), (8, 1, ()), (24, 0, ()), (16, 0, ()),
        (16, 3, (0xF800, 0x7E0, 0x1F)), (16, 3, (0x7C00, 0x3E0, 0x1F)),
        (32, 0, ()), (32, 3, (0xFF0000, 0xFF00, 0xFF)), (32, 3, (0xFF, 0xFF00, 0xFF0000)),
        (32, 3, (0x3FF00000, 0xFFC00, 0x3FF)),
    ],
)  # fmt: skip
def test_every_bmp_is_read_as_opencv_reads_it(
    bits: int, compression: int, masks: tuple[int, ...], top_down: bool
) -> None:
    if compression == 1 and top_down:
        return  # BMP has no such kind
    values = samples(1, min(bits, 16))[..., 0]
    if bits > 16:
        values = samples(3, 8) @ np.array([1 << 16, 1 << 8, 1])
    if bits == 24:
        values = values[..., None] >> np.array([0, 8, 16]) & 255
        bmp, values = Bmp(bits=8, top_down=top_down), values.reshape(SIDE, -1)
        data = bytearray(bmp.write(values))
        data[18:22], data[28:30] = SIDE.to_bytes(4, "little"), (24).to_bytes(2, "little")
        check_bmp(bytes(data))
        return
    palette = _GREYS[bits].astype(np.uint8).tobytes() if bits <= 8 else b""
    check_bmp(
        Bmp(bits=bits, compression=compression, masks=masks, palette=palette, top_down=top_down)
        .write(values)
    )  # fmt: skip


def check_bmp(data: bytes) -> None:
    found = decoded_or_refused(data)
    if found is None:
        return
    second = by_opencv(data)
    assert second is not None
    # OpenCV shifts five bits to eight, where Pillow stretches them
    assert np.abs(found - second).max() <= (7 if data[28] == 16 else 0)


def decoded_or_refused(data: bytes) -> NDArray[np.uint8] | None:
    """None where the kind is refused; any other fault of the file is one of the test."""
    try:
        return images.decode(data)
    except ImageError as error:
        if error.reason == "unsupported_image":
            return None
        raise


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_every_jpeg_is_read_as_opencv_reads_it(
    mode: str, progressive: bool, subsampling: int
) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(np.moveaxis(shown(samples(3, 8), 2, 8), 0, 2).astype(np.uint8))
    options = {"progressive": progressive, "subsampling": subsampling}
    picture.convert(mode).save(file, "JPEG", quality=95, **options)
    second = by_opencv(file.getvalue())
    assert second is not None
    assert np.abs(images.decode(file.getvalue()) - second).max() <= 1


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
def test_every_webp_is_read_as_opencv_reads_it(mode: str, lossless: bool) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(np.moveaxis(shown(samples(3, 8), 2, 8), 0, 2).astype(np.uint8))
    picture.convert(mode).save(file, "WEBP", lossless=lossless)
    second = by_opencv(file.getvalue())
    assert second is not None
    np.testing.assert_array_equal(images.decode(file.getvalue()), second)


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
def test_bit_depth_says_how_many_of_16_bits_are_used(depth: int) -> None:
    values = samples(1, depth)
    expected = np.broadcast_to(eight_bits(values, depth)[..., 0], (3, SIDE, SIDE))
    for data in (png(values, 16, 0), Tiff(bits=16).write(values), Tiff(bits=32).write(values)):
        np.testing.assert_array_equal(images.decode(data, bit_depth=depth), expected)
    eight = png(samples(1, 8), 8, 0)
    np.testing.assert_array_equal(images.decode(eight, bit_depth=depth), images.decode(eight))


@pytest.mark.parametrize(
    "data",
    [
        png(samples(1, 13), 16, 0),
        png(samples(3, 12), 16, 2),
        Tiff(bits=16, photometric=2).write(samples(3, 12)),
    ],
    ids=["more than 12 bits", "png colour", "tiff colour"],
)
def test_what_cannot_be_read_at_a_depth_is_refused(data: bytes) -> None:
    for read in (images.decode, images.inspect):
        with pytest.raises(ImageError) as refused:
            read(data, bit_depth=12)
        assert refused.value.reason == "unsupported_image"


def test_samples_are_packed_from_the_highest_bit() -> None:
    assert packed(np.array([[[1], [0], [3]]]), 4) == b"\x10\x30"
