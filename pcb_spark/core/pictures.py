"""The pictures of an image that goes to an operator: itself, its reference, and its heat map.

All three have the size of the image, so that a browser lays them over one another.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from pcb_spark.core import heatmaps, images, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import PairReader, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.core.heatmaps import HeatMapper, Map

    Pixels = NDArray[np.uint8]

_LONGEST: Final = 1600  # px; larger images are made smaller
_QUALITY: Final = 95
_JPEG: Final = b"\xff\xd8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """JPEG files, and where to look.

    Attributes
    ----------
    original : the camera's own file, where ``image`` is another one.
    right, down : by how much the image lies off its reference, as shares of its sides.
    x, y : the hottest place, as shares of its sides; None without a heat map.
    """

    image: bytes
    reference: bytes | None
    heat: bytes | None
    original: bytes | None
    width: int
    height: int
    right: float = 0.0
    down: float = 0.0
    x: float | None = None
    y: float | None = None


class PictureMaker:
    """Makes pictures as one model sees them.

    Parameters
    ----------
    mapper : what explains the scores; None: there are no heat maps.
    max_pixels : width x height of the largest image that is read.
    bit_depth : of 16-bit files, where nothing explains them.
    """

    def __init__(self, mapper: HeatMapper | None, *, max_pixels: int, bit_depth: int) -> None:
        self._mapper = mapper
        told = self._mapper.reading if self._mapper else Reading(difference=False)
        self._reading = told if self._mapper else replace(told, bit_depth=bit_depth)
        self._pairs = PairReader(self._reading, max_pixels=max_pixels)
        self._max_pixels = max_pixels

    def make(self, image: bytes, reference: bytes | None) -> Made | None:
        """Make the pictures of an image; None where nobody can decode it."""
        picture = self._shown(image)
        if picture is None:
            return None
        golden = self._shown(reference) if reference else None
        offset = self._offset(image, reference if golden else None)
        shown = _encoded(picture, image)
        made = Made(
            image=shown, original=None if shown == image else image,
            reference=_encoded(golden, reference) if golden else None,
            heat=None, width=picture.width, height=picture.height,
            right=offset.right / images.SIDE, down=offset.down / images.SIDE,
        )  # fmt: skip
        heat = self._heat(image, reference, offset)
        return made if heat is None else _with_heat(made, picture, heat)

    def _shown(self, data: bytes) -> Image.Image | None:
        try:
            return images.shown(
                data, longest=_LONGEST, max_pixels=self._max_pixels,
                bit_depth=self._reading.bit_depth,
            )  # fmt: skip
        except ImageError:
            return None

    def _offset(self, image: bytes, reference: bytes | None) -> registration.Offset:
        """Where the image lies on its reference; right on it where nobody aligns them."""
        nowhere = registration.Offset(down=0, right=0, within=True)
        if reference is None or not self._reading.difference:
            return nowhere
        pixels, golden = self._pairs.decode(image), self._pairs.decode(reference)
        found = registration.find_offset(pixels, golden, limit=self._reading.max_offset)
        return found if found.within else nowhere

    def _heat(
        self, image: bytes, reference: bytes | None, offset: registration.Offset
    ) -> Map | None:
        """The heat map in the image's own frame; None where the model has nothing to say."""
        if self._mapper is None:
            return None
        try:
            pair = self._pairs.read(image, reference)
        except ImageError:
            return None
        heat = self._mapper.heat(pair.image, pair.reference)
        cut = self._reading.alignment == registration.CUT
        return _placed_back(heat, offset, cut=cut) if heat.any() else None


def _placed_back(heat: Map, offset: registration.Offset, *, cut: bool) -> Map:
    """Undo the alignment: the network saw what image and reference have in common."""
    rows, columns = (_common(shift) for shift in (offset.down, offset.right))
    if cut:
        size = (columns[0].stop - columns[0].start, rows[0].stop - rows[0].start)
        common = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))
    else:
        common = heat[rows[1], columns[1]]
    placed = np.zeros_like(heat)
    placed[rows[0], columns[0]] = common
    return placed


def _common(shift: int) -> tuple[slice, slice]:
    """Along an axis, where what both show lies in the image and in the reference."""
    own = slice(max(shift, 0), images.SIDE + min(shift, 0))
    return own, slice(max(-shift, 0), images.SIDE - max(shift, 0))


def _with_heat(made: Made, picture: Image.Image, heat: Map) -> Made:
    hottest = heatmaps.hottest(heat)
    if hottest is None:
        return made
    row, column = hottest
    spread = Image.fromarray(heat).resize(picture.size, Image.Resampling.BILINEAR)
    pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    overlay = heatmaps.overlay(pixels, np.asarray(spread))
    x, y = ((place + 0.5) / images.SIDE for place in (column, row))
    return replace(made, heat=_jpeg(overlay), x=x, y=y)


def _encoded(picture: Image.Image, data: bytes | None) -> bytes:
    """A JPEG of a picture: the camera's own where it is one that is shown as it is."""
    if data is not None and data.startswith(_JPEG) and _is_plain(picture, data):
        return data
    return _jpeg(picture)


def _is_plain(picture: Image.Image, data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as own:
        upright = own.getexif().get(0x0112, 1) == 1
        return upright and own.size == picture.size and own.mode in ("L", "RGB")


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
