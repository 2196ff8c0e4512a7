"""The classical pixel difference to the reference: what the network has to beat.

``difference_features`` compares one pair without a network, in three maps of 112 x 112 grey levels:

``difference``
    absolute difference of the image and its reference.
``image_band``, ``reference_band``
    how far a pixel lies outside the range that the 5 x 5 pixels around it span in the other image;
    edges that sit up to two pixels off cost nothing. The first finds what is there and shouldn't
    be, the second also what is missing.

Each map is read at several blurs, since a large faint defect and a small sharp one show at
different ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import names
from pcb_spark.core.errors import ImageError
from pcb_spark.core.images import FULL_DEPTH
from pcb_spark.core.pairs import PairReader
from pcb_spark.lake import arrow

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    Map = NDArray[np.float32]

_BLURS: Final = {"difference": (1, 3, 5, 9, 15), "image_band": (1, 3), "reference_band": (1, 3)}
_QUANTILES: Final = (0.99, 0.999)
_SHARE_BLUR: Final = 3  # at which pixels above a threshold are counted: noise is gone, edges stay
_SHARE_ABOVE: Final = (16, 48)  # grey levels
_BAND: Final = 5  # side of the neighbourhood that spans a pixel's tolerance, px
_MIN_CONTRAST: Final = 1.0  # grey levels; a flat image isn't stretched beyond its noise


def _names(area: str) -> Iterator[str]:
    yield f"{area}_mean"
    for blur in _BLURS[area]:
        yield f"{area}_blur{blur}_max"
        yield from (f"{area}_blur{blur}_q{quantile}" for quantile in _QUANTILES)
        if blur == _SHARE_BLUR:
            yield from (f"{area}_blur{blur}_share_above{level}" for level in _SHARE_ABOVE)


#: What each number of ``difference_features`` is: map, side of the box blur in px, statistic.
FEATURE_NAMES: Final = tuple(name for area in _BLURS for name in _names(area))

_SCHEMA: Final = t.StructType([
    t.StructField(names.IMAGE_ID, t.StringType(), nullable=False),
    t.StructField(names.FEATURES, t.ArrayType(t.FloatType(), containsNull=False), nullable=False),
])  # fmt: skip


def difference_features(
    image: NDArray[np.uint8], reference: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Compare a component image with its reference, without a network.

    Parameters
    ----------
    image, reference : uint8, (3, 224, 224), as ``images.decode`` gives them.

    Returns
    -------
    float32, (36,), in the order of ``FEATURE_NAMES``. Shares are 0..1, all others grey levels,
    0 and up; all are 0 for an image that equals its reference up to brightness and contrast.
    """
    golden = _grey(reference)
    found = _matched(_grey(image), golden)
    maps = {
        "difference": np.abs(found - golden),
        "image_band": _outside(found, golden),
        "reference_band": _outside(golden, found),
    }
    summaries = [number for area, values in maps.items() for number in _summary(values, area)]
    return np.array(summaries, dtype=np.float32)


def pixel_differences(
    images: DataFrame,
    *,
    max_pixels: int,
    max_offset: float = 0.0,
    bit_depth: int = FULL_DEPTH,
) -> DataFrame:
    """Run ``difference_features`` over the ``images`` table.

    Parameters
    ----------
    max_offset : that of ``pairs.PairReader``.

    Returns
    -------
    ``image_id`` and ``features``, 36 floats; images that lack a usable reference, or can't be
    decoded themselves, are left out.
    """
    rows = images.where(F.col(names.REFERENCE).isNotNull()).select(
        names.IMAGE_ID, names.IMAGE, names.REFERENCE
    )
    pairs = PairReader(
        difference=True, max_offset=max_offset, max_pixels=max_pixels, bit_depth=bit_depth
    )

    def compare(row: dict[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        found = _compare(row, pairs)
        if found is not None:
            yield row[names.IMAGE_ID], found

    return arrow.map_rows(rows, compare, _SCHEMA)


def _compare(row: dict[str, bytes], pairs: PairReader) -> NDArray[np.float32] | None:
    try:
        pair = pairs.read(row[names.IMAGE], row[names.REFERENCE])
    except ImageError:
        return None
    return None if pair.reference is None else difference_features(pair.image, pair.reference)


def _grey(image: NDArray[np.uint8]) -> Map:
    """Mean of the channels and of 2 x 2 pixels: (112, 112), 0..255; halves the camera's noise."""
    total = image.sum(axis=0, dtype=np.uint16)
    rows = total[0::2] + total[1::2]
    grey: Map = (rows[:, 0::2] + rows[:, 1::2]) / np.float32(12)
    return grey


def _matched(image: Map, reference: Map) -> Map:
    """Give the image the mean and standard deviation of its reference."""
    gain = reference.std() / max(image.std(), _MIN_CONTRAST)
    matched: Map = (image - image.mean()) * gain + reference.mean()
    return matched


def _outside(values: Map, other: Map) -> Map:
    """How far each value lies above or below all of ``other``'s within the band, else 0."""
    neighbours = np.ones((_BAND, _BAND), dtype=np.uint8)
    above: Map = values - cv2.dilate(other, neighbours)
    below: Map = cv2.erode(other, neighbours) - values
    return np.maximum(np.maximum(above, below), 0)


def _summary(values: Map, area: str) -> Iterator[float]:
    """Read one map in the order of ``_names``."""
    ranks = [int(quantile * values.size) for quantile in _QUANTILES]
    yield values.mean()
    for blur in _BLURS[area]:
        blurred = cv2.blur(values, (blur, blur), borderType=cv2.BORDER_REFLECT)
        yield blurred.max()
        yield from np.partition(blurred.ravel(), ranks)[ranks]
        if blur == _SHARE_BLUR:
            yield from (float((blurred > level).mean()) for level in _SHARE_ABOVE)
