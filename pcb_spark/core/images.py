"""Image bytes -> (3, 224, 224) uint8 -> packed 64-bit words: the one place that touches pixels.

Reads the first frame of JPEG, PNG, TIFF, BMP and WebP. What is left out on purpose: alpha is
dropped, not blended; colour profiles and gamma are ignored, since a profile that one camera
writes and another doesn't must not move the score.

Whatever the bytes hold, only ``ImageError`` leaves this module. Pillow's settings and Python's
warning filters are left as they are, since threads share them.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pcb_spark.core import tiff, wholeness
from pcb_spark.core.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 224  # height and width of a decoded image, px: the input of ResNet-50
WORDS: Final = SIDE * SIDE // 8  # of one packed channel: 6,272
DEFAULT_MAX_PIXELS: Final = 50_000_000  # width x height of the largest image that is read
FULL_DEPTH: Final = 16  # bits of a 16-bit file that a camera uses, where nothing else is said

_FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")

# "BM" begins many a text, so the size of the BMP header is asked for as well.
_SIGNATURE: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF.{4}WEBP"
    rb"|II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]|BM.{12}[\x0c-\x7c]\x00\x00\x00",
    re.DOTALL,
)

#: So many bytes of a file tell its format.
SIGNATURE_BYTES: Final = 32

# The longest side of a JPEG. Resizing one column of 50 million pixels would first make it 224 wide.
_MAX_SIDE: Final = 65_535

# A progressive JPEG has about ten scans. Each costs a pass over the whole image but only a few
# bytes of file, so that without a limit 2 MB of scans take minutes.
_MAX_JPEG_SCANS: Final = 100

# Image modes that Pillow turns straight into three bytes a pixel, and what to ask it for.
_TARGET_MODE: Final = dict.fromkeys(("1", "L", "LA"), "L") | dict.fromkeys(
    ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"), "RGB"
)

# What Pillow says of sound files of a kind that it doesn't read.
_UNKNOWN_KIND: Final = ("unsupported", "unknown raw mode", "codec configuration")

# EXIF 2.32, tag 0x0112; the values that leave an image as it is are not listed.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES: Final = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """Width and height in px after EXIF rotation, and Pillow's name of the format."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """A readable image: mode ``L`` or ``RGB``, perhaps smaller than ``size``, not yet rotated."""

    pixels: Image.Image
    size: tuple[int, int]
    box: tuple[float, float, float, float] | None
    orientation: int
    format: str


def decode(
    data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, bit_depth: int = FULL_DEPTH
) -> NDArray[np.uint8]:
    """Decode an image file and fit all of it, uncropped, into 224 x 224.

    Grey becomes three views of one channel. 16-bit grey keeps its high byte (value // 256), or with
    a ``bit_depth`` of 12 the upper 8 of its lower 12 bits. CMYK is converted as Pillow does. EXIF
    rotation is applied. Refused is what Pillow would show with wrong brightness or planes, and a
    file whose end was never written (``wholeness``).

    The resize is bilinear with antialiasing: Pillow widens the filter by the reduction factor, so
    that every source pixel counts and a bridge 2 px wide doesn't fall between the samples.

    A JPEG is scaled down by 2, 4 or 8 while it is decoded, as long as both sides stay at 224 px
    or more. Peak memory in bytes a pixel of the source, measured at 12 megapixels: JPEG 0.3
    (progressive 3), RGB in PNG, BMP or TIFF 5, with alpha 8, 32-bit grey 14, WebP 17.

    Parameters
    ----------
    data : the whole file.
    max_pixels : limit on width x height, checked on the header. Pillow's own limit of 178,956,970
        holds as well, and one of 65,535 a side.
    bit_depth : how many bits of a 16-bit file the camera uses, the lowest ones; 8 to 16.

    Returns
    -------
    uint8, (3, 224, 224), RGB; the same bytes give the same array. That of a grey file is read-only.

    Raises
    ------
    ImageError
        With a reason out of ``names.IMAGE_REASONS``.
    """
    picture = _read(data, max_pixels, bit_depth)
    square = picture.pixels.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=picture.box)
    if picture.orientation in _UPRIGHT:
        square = square.transpose(_UPRIGHT[picture.orientation])
    if square.mode == "L":
        return np.broadcast_to(np.asarray(square, dtype=np.uint8), (3, SIDE, SIDE))
    return np.stack([np.asarray(channel, dtype=np.uint8) for channel in square.split()])


def shown(
    data: bytes,
    *,
    longest: int,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    bit_depth: int = FULL_DEPTH,
) -> Image.Image:
    """Decode an image file for people: upright, 8 bits a channel, its sides as they are.

    Parameters
    ----------
    longest : px; larger pictures are made smaller.

    Returns
    -------
    Of mode ``L`` or ``RGB``.

    Raises
    ------
    ImageError : as ``decode``.
    """
    picture = _read(data, max_pixels, bit_depth, longest)
    scale = min(1.0, longest / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    fitted = picture.pixels.resize((width, height), Image.Resampling.BILINEAR, box=picture.box)
    if picture.orientation in _UPRIGHT:
        fitted = fitted.transpose(_UPRIGHT[picture.orientation])
    return fitted


def inspect(
    data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS, bit_depth: int = FULL_DEPTH
) -> ImageInfo:
    """Read size and format; fails where, and as, ``decode`` would.

    All pixels are decoded, since a truncated file shows only then.
    """
    picture = _read(data, max_pixels, bit_depth)
    width, height = picture.size
    if picture.orientation in _SWAPS_SIDES:
        width, height = height, width
    return ImageInfo(width=width, height=height, format=picture.format)


def is_image(beginning: bytes) -> bool:
    """Say whether a file that begins so may be of one of the five formats."""
    return _SIGNATURE.match(beginning) is not None


def pack(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pack an image into the words that the ONNX graph unpacks.

    Of an image of n words, byte k (k = 0 is the lowest) of word i is pixel ``k * n + i`` of the
    flat image, so that the graph gets the pixels in order by shifting all words right by 8 k bits.

    Parameters
    ----------
    pixels : uint8, (C, 224, 224); C is 3, or 1 for the one channel that a grey image needs.

    Returns
    -------
    int64, (C * 6272,); negative where byte 7 is 128 or more.
    """
    words = pixels.size // 8
    octets = np.empty((words, 8), dtype=np.uint8)
    for k, run in enumerate(pixels.reshape(8, words)):  # a third of the time of a transposed copy
        octets[:, k] = run
    return octets.view("<i8").reshape(words)


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Say whether the three channels of uint8 (3, 224, 224) are the same."""
    red, green, blue = pixels
    return pixels.strides[0] == 0 or (np.array_equal(red, green) and np.array_equal(red, blue))


def _read(data: bytes, max_pixels: int, bit_depth: int = FULL_DEPTH, side: int = SIDE) -> _Picture:
    """Load the first frame, turning every fault of Pillow into an ``ImageError``."""
    if not data:
        raise ImageError("empty_file", "the file has no bytes")
    if not _SIGNATURE.match(data):
        raise ImageError("not_an_image", f"begins with {data[:8]!r}, none of {_FORMATS}")
    try:
        return _load(data, max_pixels, bit_depth, side)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ImageError("too_many_pixels", f"{type(error).__name__} {error}") from error
    except UnidentifiedImageError as error:
        if wholeness.ends_early(data):
            raise ImageError("truncated_image", "the header is incomplete") from error
        raise ImageError("unsupported_image", "the header is damaged or unknown") from error
    except Exception as error:  # Pillow's parsers raise whatever bad bytes lead them to
        message = str(error).lower()
        unknown = any(words in message for words in _UNKNOWN_KIND)
        reason = "unsupported_image" if unknown else "damaged_image"
        if "truncated" in message or wholeness.ends_early(data):
            reason = "truncated_image"
        raise ImageError(reason, f"{type(error).__name__}: {error}") from error


def _load(data: bytes, max_pixels: int, bit_depth: int, side: int) -> _Picture:
    """Check the header, then decode the first frame, a JPEG at reduced size, ``side`` at least."""
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise ImageError("unsupported_image", f"a JPEG of more than {_MAX_JPEG_SCANS} scans")
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    size = image.size
    _check_header(image, max_pixels, bit_depth)
    if wholeness.ends_early(data):
        raise ImageError("truncated_image", "its end is missing, or zeros stand in its place")
    draft = image.draft(None, (side, side))
    image.load()
    return _Picture(
        pixels=_three_bytes(image, bit_depth),
        size=size,
        box=draft[1] if draft else None,
        orientation=_orientation(image),
        format=image.format or "",
    )


def _check_header(image: ImageFile.ImageFile, max_pixels: int, bit_depth: int) -> None:
    """Refuse what is too large, and what Pillow would show with wrong brightness."""
    width, height = image.size
    if width * height > max_pixels or max(width, height) > _MAX_SIDE:
        limits = f"{max_pixels:,} pixels or {_MAX_SIDE:,} a side"
        raise ImageError("too_many_pixels", f"{width} x {height}, more than {limits}")
    if image.mode not in _TARGET_MODE and not image.mode.startswith("I"):
        raise ImageError("unsupported_image", f"pixels of mode {image.mode}")
    if image.format == "TIFF":
        fault = tiff.fault(image.mode, image.tag_v2)  # type: ignore[attr-defined]
        if fault:
            raise ImageError("unsupported_image", fault)
    deep_colour = image.format in ("PNG", "TIFF") and ";16" in str(image.tile)
    if bit_depth < FULL_DEPTH and deep_colour and not image.mode.startswith("I"):
        raise ImageError("unsupported_image", f"16-bit colour, of which {bit_depth} bits are used")


def _three_bytes(image: Image.Image, bit_depth: int) -> Image.Image:
    """Bring loaded pixels to mode ``L`` or ``RGB``, 8 bits a channel."""
    if image.mode.startswith("I"):
        values, top = np.asarray(image), 2**bit_depth - 1
        if values.min() < 0 or values.max() > top:
            raise ImageError("unsupported_image", f"grey values outside 0..{top}")
        return Image.fromarray((values >> (bit_depth - 8)).astype(np.uint8))
    image.info.pop("transparency", None)  # else Pillow weighs it, and warns
    target = _TARGET_MODE[image.mode]
    return image if image.mode == target else image.convert(target)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 where there is none or it cannot be read.

    Asked after loading: only then is a PNG's known, and a TIFF rotated and rid of its tag.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return 1
    return value if isinstance(value, int) else 1
