"""A golden image of a position: the mean of good images that were brought together.

Of every pixel the smallest and the largest value are left out, so that one image among three or
more that isn't good after all leaves no trace; noise and print that differ from board to board go.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcb_spark.core import png, ranges, registration, sketches
from pcb_spark.core.ranges import Range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class Golden(NamedTuple):
    """A golden image, uint8 (3, 224, 224), the range of its images, and its ``spread``.

    ``spread`` is the mean difference of the images from it, in grey levels.
    """

    pixels: Pixels
    shown: Range
    spread: float


def golden(pictures: Sequence[Pixels], *, limit: float) -> Golden:
    """Lay images over the one that lies in their midst, and take the trimmed mean of every pixel.

    All get the brightness and contrast that most of them have. What an image doesn't show at its
    edges is taken from the one in the midst; one that lies beyond the limit is left out.

    Parameters
    ----------
    pictures : uint8 (3, 224, 224), at least one, the most recent last.
    limit : largest offset, as a share of the side, 0..0.2.
    """
    anchor, offsets = _midst(pictures, limit)
    if all(picture.strides[0] == 0 for picture in pictures):  # grey: one channel thrice
        made = _mean_of([picture[:1] for picture in pictures], anchor, offsets)
        pixels, least, most = (
            np.broadcast_to(each, pictures[0].shape) for each in (made.pixels, *made.shown)
        )
        return Golden(pixels, Range(least, most), made.spread)
    return _mean_of(pictures, anchor, offsets)


def encode(pixels: Pixels, shown: Range | None = None) -> bytes:
    """Write a golden image as a PNG, with its range beside it."""
    return png.encode(pixels, ranges.chunks(shown) if shown else None)


def _midst(pictures: Sequence[Pixels], limit: float) -> tuple[int, list[tuple[int, int] | None]]:
    """The image nearest to where most lie, and how far each lies off it; None is too far."""
    typical = pictures[_most_alike(pictures)]
    found = [registration.find_offset(picture, typical, limit=limit) for picture in pictures]
    places = np.array([(each.down, each.right) for each in found])
    usable = np.array([each.within for each in found])
    far = ((places - np.median(places[usable], axis=0)) ** 2).sum(axis=1)
    far[~usable] = np.inf
    anchor = _last_smallest(far)
    apart = places - places[anchor]
    return anchor, [
        (int(down), int(right)) if within else None
        for (down, right), within in zip(apart, usable, strict=True)
    ]


def _most_alike(pictures: Sequence[Pixels]) -> int:
    """The image that differs least from all others: one that isn't good after all is never it."""
    drawn = [sketches.sketch(picture) for picture in pictures]
    apart = np.zeros((len(drawn), len(drawn)))
    for one, other in itertools.combinations(range(len(drawn)), 2):
        apart[one, other] = apart[other, one] = sketches.misfit(drawn[one], drawn[other])
    return _last_smallest(apart.sum(axis=1))


def _last_smallest(values: NDArray[np.float64]) -> int:
    return len(values) - 1 - int(np.argmin(values[::-1]))


def _mean_of(
    pictures: Sequence[Pixels], anchor: int, offsets: Sequence[tuple[int, int] | None]
) -> Golden:
    """Take the mean of pictures that lie ``offsets`` px, down and right, off ``anchor``."""
    each = np.array([registration.moments(picture) for picture in pictures])
    wanted = [(mean, spread) for mean, spread in np.median(each, axis=0).tolist()]
    base = registration.brought(pictures[anchor], wanted)
    laid = np.stack([
        _laid(registration.brought(picture, wanted), base, offset)
        for picture, offset in zip(pictures, offsets, strict=True)
        if offset is not None
    ])  # fmt: skip
    pixels = _trimmed_mean(laid)
    apart = np.abs(laid.astype(np.int16) - pixels)
    return Golden(pixels, ranges.of(laid), float(int(apart.sum()) / apart.size))


def _trimmed_mean(laid: Pixels) -> Pixels:
    """Mean of each pixel without its smallest and its largest value, where there are three."""
    kept = np.sort(laid, axis=0)[1:-1] if len(laid) > 2 else laid
    total = kept.sum(axis=0, dtype=np.uint32)
    mean: Pixels = ((total + len(kept) // 2) // len(kept)).astype(np.uint8)
    return mean


def _laid(picture: Pixels, base: Pixels, offset: tuple[int, int] | None) -> Pixels:
    """Move a picture by its offset onto ``base``, whose edges stand for what it doesn't show."""
    if offset is None or offset == (0, 0):
        return picture
    return registration.moved(picture, base, registration.Offset(
        down=offset[0], right=offset[1], within=True
    ))  # fmt: skip
