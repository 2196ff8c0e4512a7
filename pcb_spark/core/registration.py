"""Where an image lies on its reference, and bringing both together; edge machines run it too.

Both are compared as small grey pictures of equal brightness and contrast. The middle of the
reference is laid over the image at every offset up to twice the limit and their correlation is read
off, all offsets at once in the Fourier domain (Lewis, "Fast normalized cross-correlation", 1995).
Phase correlation, which whitens the spectrum, was measured as well: with tracks that run through
the whole picture it takes noise along the track for a match, and it missed the best offset in 2 to
13 % of 120 tiles.

Both are then cut to what both show and enlarged again, and the image gets the brightness of its
reference. Moving the image and filling up from the reference, as models of earlier versions want
it, draws a seam where the lamp has changed: an edge that only one of the two has, for the network
to find. On photographs of seven board designs (n = 1,781) that seam and the lamp were two of three
wrong orders. Where the image is compared with the nearest that good images show, which is an image
of itself, it is laid on its golden image and filled up from there: both then have the same seam.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from pcb_spark.core import names
from pcb_spark.core.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float64]

#: Cut to what both show, and of one brightness.
CUT: Final = "cut"
#: Filled up from the reference: what models of earlier versions were trained on.
FILL: Final = "fill"
#: Laid on the golden image, of one brightness, and beside the nearest that good images show.
LAID: Final = "laid"
ALIGNMENTS: Final = (CUT, FILL, LAID)

_SIDE: Final = 128  # at most, of the grey pictures that are compared, px
_MIN_CONTRAST: Final = 1.0  # grey levels; a flat image isn't stretched beyond its noise
# Along a track every offset fits: of those within this share of the gain, the smallest counts.
_AS_GOOD: Final = 0.02
# 1 - r, where r is their correlation: from here on they show different things, and no offset means
# anything.
_UNRELATED: Final = 0.5
# An offset beyond the limit is believed where the best one within explains little and that one
# halves what is left: a defect makes all of them equally bad, and on a pattern that repeats all are
# good. Of 181 tiles at 0 px none was taken for misaligned.
_POOR: Final = 0.15
_CLEARLY_BETTER: Final = 0.5
# Variance of a part of the picture, of the 1 that all of it has: a bare part isn't stretched.
_LEAST_ENERGY: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far an image lies below and to the right of its reference, px; ``within`` the limit."""

    down: int
    right: int
    within: bool


def align(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, limit: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Show of an image and its reference what both show, in the brightness of the reference.

    Parameters
    ----------
    image, reference : uint8, (C, H, W), of one shape.
    limit : the largest offset that is corrected, as a share of the shorter side, 0..0.2.

    Returns
    -------
    Image and reference, uint8, (C, H, W), cut to what both show and enlarged again, each channel of
    the image with the mean and standard deviation of the reference's (``matched``). The reference
    itself where nothing is cut. Read-only where both share one channel's memory, as grey files do.

    Raises
    ------
    ImageError
        With reason ``reference_misaligned``: the two fit far better at an offset beyond the limit.
    """
    if _are_grey(image, reference):
        first = reference[:1]
        one, other = align(image[:1], first, limit=limit)
        golden = reference if other is first else np.broadcast_to(other, reference.shape)
        return np.broadcast_to(one, image.shape), golden
    offset = _offset_within(image, reference, limit)
    if offset.down == offset.right == 0:
        return matched(image, reference), reference
    _, height, width = image.shape
    to, from_ = _overlaps(offset, image.shape)
    seen, golden = image[from_], reference[to]
    return _enlarged(matched(seen, golden), height, width), _enlarged(golden, height, width)


def fill(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, limit: float
) -> NDArray[np.uint8]:
    """Move an image onto its reference, and fill up from there; parameters as ``align``."""
    if _are_grey(image, reference):
        return np.broadcast_to(fill(image[:1], reference[:1], limit=limit), image.shape)
    return moved(image, reference, _offset_within(image, reference, limit))


def lay(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, limit: float
) -> NDArray[np.uint8]:
    """Lay an image, in the brightness of its reference, on it; parameters as ``align``.

    What the image doesn't show is the reference's.
    """
    if _are_grey(image, reference):
        return np.broadcast_to(lay(image[:1], reference[:1], limit=limit), image.shape)
    to, from_ = _overlaps(_offset_within(image, reference, limit), image.shape)
    laid = reference.copy()
    laid[to] = matched(image[from_], reference[to])
    return laid


def moved(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], offset: Offset
) -> NDArray[np.uint8]:
    """Move an image by its offset, and fill up from the reference; both uint8 (C, H, W)."""
    if offset.down == offset.right == 0:
        return image
    to, from_ = _overlaps(offset, image.shape)
    aligned = reference.copy()
    aligned[to] = image[from_]
    return aligned


def matched(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give each channel of an image the mean and standard deviation of its reference's.

    Both uint8, (C, H, W). The contrast of a flat image isn't raised beyond its noise.
    """
    return brought(image, moments(reference))


def brought(image: NDArray[np.uint8], wanted: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
    """Give each channel of an image, uint8 (C, H, W), a mean and standard deviation."""
    levels = np.arange(256)
    channels = []
    for own, (mean, deviation), (to, spread) in zip(image, moments(image), wanted, strict=True):
        gain = spread / max(deviation, _MIN_CONTRAST)
        levelled = np.rint((levels - mean) * gain + to)
        channels.append(np.clip(levelled, 0, 255).astype(np.uint8)[own])
    return np.stack(channels)


def moments(image: NDArray[np.uint8]) -> list[tuple[float, float]]:
    """Mean and standard deviation of each channel of an image, uint8 (C, H, W).

    They are read off histograms, whose whole numbers add up alike on every machine.
    """
    return [_moments(channel) for channel in image]


def find_offset(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, limit: float) -> Offset:
    """Find the smallest offset at which the image fits its reference; parameters as ``align``."""
    if limit == 0:
        return Offset(down=0, right=0, within=True)
    step = -(-min(image.shape[1:]) // _SIDE)
    found, golden = _grey(image, step), _grey(reference, step)
    reach = round(limit * min(found.shape))
    misfit = _misfit(found, golden, 2 * reach)
    if misfit.min() > _UNRELATED:
        return Offset(down=0, right=0, within=True)
    inner = misfit[reach:-reach, reach:-reach] if reach else misfit
    best = inner.min()
    within = best <= _POOR or misfit.min() > _CLEARLY_BETTER * best
    down, right = _smallest_as_good(inner if within else misfit)
    return Offset(down=round(down * step), right=round(right * step), within=bool(within))


def _offset_within(image: NDArray[np.uint8], reference: NDArray[np.uint8], limit: float) -> Offset:
    offset = find_offset(image, reference, limit=limit)
    if not offset.within:
        detail = f"the image lies {offset.down} px below and {offset.right} px right of it"
        raise ImageError(names.REFERENCE_MISALIGNED, detail)
    return offset


def _are_grey(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> bool:
    """Whether both show one channel thrice."""
    return len(image) > 1 and image.strides[0] == reference.strides[0] == 0


def _moments(channel: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of the levels."""
    counts = np.bincount(channel.ravel(), minlength=256)
    levels = np.arange(256)
    total, squares = int(counts @ levels), int(counts @ (levels * levels))
    mean = total / channel.size
    return mean, math.sqrt(max(squares * channel.size - total * total, 0)) / channel.size


def _enlarged(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    size, way = (width, height), Image.Resampling.BILINEAR
    planes = [Image.fromarray(np.ascontiguousarray(plane)).resize(size, way) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes])


def _overlaps(
    offset: Offset, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where of the reference, (C, H, W), the image goes, and which part of the image."""
    rows, image_rows = _overlap(offset.down, shape[1])
    columns, image_columns = _overlap(offset.right, shape[2])
    return (slice(None), rows, columns), (slice(None), image_rows, image_columns)


def _overlap(offset: int, length: int) -> tuple[slice, slice]:
    """Where along an axis the moved image goes, and where it comes from."""
    return (
        slice(max(-offset, 0), length - max(offset, 0)),
        slice(max(offset, 0), length - max(-offset, 0)),
    )


def _grey(image: NDArray[np.uint8], step: int) -> Map:
    """Mean of the channels and of step x step pixels, with mean 0 and standard deviation 1."""
    height, width = (side // step for side in image.shape[1:])
    total = image.sum(axis=0, dtype=np.uint32)[: height * step, : width * step]
    # a tenth of the time of a sum over the axes of (height, step, width, step)
    rows = functools.reduce(np.add, (total[place::step] for place in range(step)))
    blocks = functools.reduce(np.add, (rows[:, place::step] for place in range(step)))
    grey: Map = blocks / (len(image) * step * step)
    centred: Map = (grey - grey.mean()) / max(grey.std(), _MIN_CONTRAST)
    return centred


def _misfit(image: Map, reference: Map, reach: int) -> Map:
    """1 - correlation with the reference's middle at offsets -reach..reach, down x right; 0..2."""
    height, width = (side - 2 * reach for side in image.shape)
    offsets = 2 * reach + 1
    middle = reference[reach : reach + height, reach : reach + width]
    template = middle - middle.mean()
    spectrum = np.fft.rfft2(image) * np.conj(np.fft.rfft2(template, s=image.shape))
    # the inverse by hand: most of what irfft2 answers are offsets that nobody asks for
    wanted = np.fft.ifft(spectrum, axis=0)[:offsets]
    overlap = np.fft.irfft(wanted, n=image.shape[1], axis=1)[:, :offsets]
    energy = _sums_of(_sums_of(image * image, height, offsets).T, width, offsets).T
    floor = _LEAST_ENERGY * template.size
    both = np.sqrt(np.maximum(energy, floor) * max((template * template).sum(), floor))
    misfit: Map = 1 - overlap / both
    return misfit


def _sums_of(values: Map, length: int, count: int) -> Map:
    """Sums of ``length`` rows each, beginning with row 0, 1, .. count - 1."""
    before = np.vstack([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    sums: Map = before[length : length + count] - before[:count]
    return sums


def _smallest_as_good(misfit: Map) -> tuple[float, float]:
    """Row and column, from the middle, of the smallest offset that is about the best."""
    reach = len(misfit) // 2
    best = misfit.min()
    enough = best + _AS_GOOD * max(misfit[reach, reach] - best, best)
    rows, columns = np.nonzero(misfit <= enough)
    nearest = np.argmin((rows - reach) ** 2 + (columns - reach) ** 2)
    row, column = int(rows[nearest]), int(columns[nearest])
    return (
        row - reach + _vertex(misfit[:, column], row),
        column - reach + _vertex(misfit[row], column),
    )


def _vertex(values: Map, at: int) -> float:
    """Where the parabola through three neighbours has its lowest point, -0.5..0.5 from ``at``."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0
