"""What good images of a position show: each pixel at least and at most.

An image that is compared with its golden image alone differs wherever solder, print and placement
vary. Compared with the nearest that good images show, it differs only where none of them looks so.
The file of a golden image has its range beside its pixels, in chunks that viewers pass over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pcb_spark.core import images, png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

#: From so many images on the lowest and the highest are left out: one may be a wrong verdict.
_ENOUGH: Final = 3
#: Private, and of no use once the pixels change, as the letters' case says.
_CHUNKS: Final = (b"leAS", b"moST")


class Range(NamedTuple):
    """What good images show at least and at most, uint8 (C, H, W) both."""

    least: Pixels
    most: Pixels

    def nearest(self, image: Pixels) -> Pixels:
        """The nearest to an image, uint8 (3, H, W), that good images show."""
        if image.strides[0] == self.least.strides[0] == 0:  # grey: one channel thrice
            found = np.clip(image[:1], self.least[:1], self.most[:1])
            return np.broadcast_to(found, image.shape)
        return np.clip(image, self.least, self.most)


def of(laid: Pixels) -> Range:
    """The range of good images that were laid on one another, uint8 (N, C, H, W).

    Of three and more the lowest and the highest value of a pixel are left out, as in the golden
    image. A pixel may show what its eight neighbours do, since images lie on one another to a pixel
    at best.
    """
    ordered = np.sort(laid, axis=0)
    left_out = int(len(ordered) >= _ENOUGH)
    least, most = ordered[left_out], ordered[-1 - left_out]
    return Range(_around(least, np.minimum), _around(most, np.maximum))


def chunks(found: Range) -> dict[bytes, bytes]:
    """What of a golden image's PNG holds its range: two pictures."""
    return {name: png.encode(pixels) for name, pixels in zip(_CHUNKS, found, strict=True)}


def of_file(data: bytes) -> Range | None:
    """The range in a file that ``images.decode`` can read, uint8 (3, 224, 224) twice.

    None where it has none.

    Raises
    ------
    ImageError : it has one that can't be read.
    """
    told = png.chunks(data)
    if not told.keys() >= {*_CHUNKS}:
        return None
    return Range(*(images.decode(told[name]) for name in _CHUNKS))


def _around(pixels: Pixels, choose: np.ufunc) -> Pixels:
    """The least or the most of the 3 x 3 pixels around each."""
    for axis in (-2, -1):
        places = np.arange(pixels.shape[axis])
        before, after = np.maximum(places - 1, 0), np.minimum(places + 1, places[-1])
        beside = choose(pixels.take(before, axis), pixels.take(after, axis))
        pixels = choose(pixels, beside)
    return pixels
