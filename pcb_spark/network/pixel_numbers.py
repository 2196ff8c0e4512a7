"""What differs between an image and its reference in grey levels, as nodes of the features graph.

Three maps of 112 x 112 grey levels, of pairs whose brightness ``registration`` has matched:

``difference``
    absolute difference of the image and its reference.
``image_band``, ``reference_band``
    how far a pixel lies outside the range that the 5 x 5 pixels around it span in the other image;
    edges that sit up to two pixels off cost nothing. The first finds what is there and shouldn't
    be, the second also what is missing.

Each map is read at several blurs, since a large faint defect and a small sharp one show at
different ones. The numbers stand beside the network's: it sees texture and shape, they see how much
of a few pixels is wrong. Alone they are the classical method that the network has to beat.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from pcb_spark.network.unpacking import IMAGE_COUNT, PLANES, REFERENCE_ROWS

if TYPE_CHECKING:
    from pcb_spark.network.nodes import NodeBuilder

#: The tensor [K, 36] that ``add_pixel_numbers`` makes.
OUTPUT: Final = "pixel_numbers"
#: Side of the maps, px.
MAP_SIDE: Final = 112
#: At which blur heat maps show a map.
SHOWN_BLUR: Final = 3

_BLURS: Final = {"difference": (1, 3, 5, 9, 15), "image_band": (1, 3), "reference_band": (1, 3)}
_QUANTILES: Final = (0.99, 0.999)
_SHARE_BLUR: Final = 3  # at which pixels above a threshold are counted: noise is gone, edges stay
_SHARE_ABOVE: Final = (16, 48)  # grey levels
_BAND: Final = 5  # side of the neighbourhood that spans a pixel's tolerance, px


def _names(area: str) -> Iterator[str]:
    yield f"{area}_mean"
    for blur in _BLURS[area]:
        yield f"{area}_blur{blur}_max"
        yield from (f"{area}_blur{blur}_q{quantile}" for quantile in _QUANTILES)
        if blur == _SHARE_BLUR:
            yield from (f"{area}_blur{blur}_share_above{level}" for level in _SHARE_ABOVE)


#: What each number is: map, side of the box blur in px, statistic.
PIXEL_NUMBERS: Final = tuple(name for area in _BLURS for name in _names(area))


def shown_map(number: str) -> str:
    """The tensor [K, 1, 112, 112] of the map that a number of ``PIXEL_NUMBERS`` was read off."""
    return next(f"{area}_blur{SHOWN_BLUR}" for area in _BLURS if number.startswith(area))


def add_pixel_numbers(b: NodeBuilder) -> str:
    """Add the nodes that read them off the unpacked planes.

    Returns
    -------
    ``OUTPUT``, float [K, 36], in the order of ``PIXEL_NUMBERS``. Shares are 0..1, all others
    grey levels, 0 and up; all are 0 for an image that equals its reference.
    """
    channels = b.ints("channel_axis", 1)
    grey = b.add("ReduceMean", [PLANES, channels], "grey_planes", keepdims=1)
    # halves the camera's noise
    small = b.add("AveragePool", [grey], "grey_small", kernel_shape=[2, 2], strides=[2, 2])
    first, axis = b.ints("first_image", 0), b.ints("image_axis", 0)
    image = b.add("Slice", [small, first, IMAGE_COUNT, axis], "grey_of_images")
    reference = b.add("Gather", [small, REFERENCE_ROWS], "grey_of_references", axis=0)
    apart = b.add("Sub", [image, reference], "grey_apart")
    maps = {
        "difference": b.add("Abs", [apart], "difference"),
        "image_band": _outside(b, image, reference, "image_band"),
        "reference_band": _outside(b, reference, image, "reference_band"),
    }
    b.ints("map_axes", 1, 2, 3)
    b.ints("flat_map", -1, MAP_SIDE * MAP_SIDE)
    b.ints("ranked", _rank(min(_QUANTILES)) + 1)
    b.ints("ranks_read", 0, *(_rank(quantile) for quantile in _QUANTILES))
    for level in _SHARE_ABOVE:
        b.constant(f"level_{level}", np.array(level, dtype=np.float32))
    numbers = [number for area, source in maps.items() for number in _summary(b, source, area)]
    return b.add("Concat", numbers, OUTPUT, axis=1)


def _rank(quantile: float) -> int:
    """From the largest value down."""
    cells = MAP_SIDE * MAP_SIDE
    return cells - 1 - int(quantile * cells)


def _outside(b: NodeBuilder, values: str, other: str, name: str) -> str:
    """How far each value lies above or below all of ``other``'s within the band, else 0."""
    window = {"kernel_shape": [_BAND, _BAND], "pads": [_BAND // 2] * 4}
    highest = b.add("MaxPool", [other], f"{name}_highest", **window)
    turned = b.add("Neg", [other], f"{name}_turned")
    lowest = b.add("MaxPool", [turned], f"{name}_lowest_turned", **window)
    above = b.add("Sub", [values, highest], f"{name}_above")
    turned_values = b.add("Neg", [values], f"{name}_values_turned")
    below = b.add("Sub", [turned_values, lowest], f"{name}_below")
    return b.add("Relu", [b.add("Max", [above, below], f"{name}_signed")], name)


def _summary(b: NodeBuilder, source: str, area: str) -> Iterator[str]:
    """Read one map in the order of ``_names``: float tensors [K, n]."""
    yield _mean(b, source, f"{area}_mean")
    for blur in _BLURS[area]:
        name = f"{area}_blur{blur}"
        blurred = _blurred(b, source, blur, name)
        flat = b.add("Reshape", [blurred, "flat_map"], f"{name}_flat")
        top = f"{name}_top"
        b.add_many("TopK", [flat, "ranked"], [top, f"{name}_top_places"], axis=1)
        yield b.add("Gather", [top, "ranks_read"], f"{name}_ranks", axis=1)
        if blur == _SHARE_BLUR:
            for level in _SHARE_ABOVE:
                above = b.add("Greater", [blurred, f"level_{level}"], f"{name}_above{level}")
                counted = b.add("Cast", [above], f"{above}_counted", to=TensorProto.FLOAT)
                yield _mean(b, counted, f"{name}_share_above{level}")


def _mean(b: NodeBuilder, source: str, name: str) -> str:
    mean = b.add("ReduceMean", [source, "map_axes"], f"{name}_kept", keepdims=0)
    return b.add("Unsqueeze", [mean, "channel_axis"], name)


def _blurred(b: NodeBuilder, source: str, side: int, name: str) -> str:
    """Mean of side x side pixels, at the border of those that there are; down, then across."""
    if side == 1:
        return b.add("Identity", [source], name)
    half = side // 2
    down = b.add(
        "AveragePool", [source], f"{name}_down", kernel_shape=[side, 1], pads=[half, 0, half, 0]
    )
    return b.add("AveragePool", [down], name, kernel_shape=[1, side], pads=[0, half, 0, half])
