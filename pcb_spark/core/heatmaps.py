"""Where in an image the model saw a defect.

TreeSHAP says how much each pooled number moved the log-odds of ``fail`` (``core.shapley``), and a
logistic regression beside the trees what it adds to those of an image of average features. A
maximum came from one cell of an activation map, so that cell gets all of it; a mean came from every
cell, and each gets its share. What a number of the pixel difference says goes to where its map is
highest. Summed over channels and levels this is a map of the image.

It runs the bundle's own graph, whose inner maps become outputs: meant for the few images that
people look at, not for a night's worth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from pcb_spark.core import batches, bundle, linear, sessions, shapley
from pcb_spark.core.errors import BundleError
from pcb_spark.core.images import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]

#: The part of an edge bundle that says what the network's numbers are read off.
HEAT: Final = "heat.json"
MAXIMUM, MEAN = "ReduceMax", "ReduceMean"
#: Standard deviation, px of 224, of the blur that adds up what neighbouring cells say. A cell of
#: layer1 sees 35 px of the image and one of layer2 91 px, so that finer detail would be made up.
_BLUR: Final = 8.0
_REACH: Final = 4  # standard deviations
_FULL_OPACITY: Final = 0.75
#: Dark red over orange to pale yellow: rises in lightness, so that it reads in grey too.
_COLD, _WARM, _HOT = "#7a0403", "#fb7e21", "#fff3a0"


class Pool(NamedTuple):
    """Inputs of the feature vector: the map that is pooled, and by which operator."""

    tensor: str
    operator: str


def to_json(pools: Sequence[Pool]) -> bytes:
    """Write the part ``HEAT``."""
    return json.dumps([list(pool) for pool in pools]).encode()


def of_edge(model: bundle.Bundle) -> HeatMapper | None:
    """Read what an edge bundle has for heat maps; None of those of earlier versions.

    Raises
    ------
    BundleError : it can't be read.
    """
    raw = model.parts.get(HEAT)
    if raw is None:
        return None
    try:
        pools = [Pool(str(tensor), str(operator)) for tensor, operator in json.loads(raw)]
    except (ValueError, TypeError) as error:
        what, hint = f"{HEAT} can't be read", "export the bundle again"
        raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None
    return HeatMapper(model, pools)


class HeatMapper:
    """Heat maps of one bundle; holds one ONNX session and the trees.

    Parameters
    ----------
    pools : what each input of the feature vector is read off, in their order.

    Attributes
    ----------
    reading : how pairs are read for it.
    """

    def __init__(self, model: bundle.Bundle, pools: Sequence[Pool]) -> None:
        self._pools = pools
        self._outputs = list(dict.fromkeys([batches.FEATURES, *(pool.tensor for pool in pools)]))
        self.reading = model.manifest.reading
        self._session = sessions.of(sessions.exposing(model.parts[bundle.GRAPH], self._outputs))
        parts = [(bundle.CLASSIFIER, bundle.LINEAR)]
        if model.manifest.image_levels:
            parts.append((bundle.IMAGE_CLASSIFIER, bundle.IMAGE_LINEAR))
        self._judges = [
            (shapley.Trees(model.parts[text].decode()), linear.of_parts(model.parts, line))
            for text, line in parts
        ]

    def heat(self, pixels: NDArray[np.uint8], reference: NDArray[np.uint8] | None = None) -> Map:
        """Return what spoke for ``fail``, by place.

        Parameters
        ----------
        pixels, reference : uint8 (3, 224, 224), as ``images.decode`` gives them; a bundle without
            references needs and reads none.

        Returns
        -------
        float32 (224, 224), log-odds a pixel, 0 and up; their sum is what all numbers that have a
        place add to the log-odds of ``fail``. Numbers that speak for ``pass`` have none: they say
        that nothing stands out anywhere.

        Raises
        ------
        BundleError : the bundle compares with references, and there is none.
        """
        if self.reading.difference and reference is None:
            what = "a model that compares with references can't explain an image without one"
            raise BundleError(what, hint="leave it out, or give its reference")
        golden = [reference] if self.reading.difference and reference is not None else None
        inputs = batches.feed([pixels], golden, [0] if golden else ())
        found = dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))
        features = found[batches.FEATURES].reshape(1, -1)
        return self._placed(found, self._contributions(features))

    def _contributions(self, features: Map) -> NDArray[np.float64]:
        """What each number (F,) of an image (1, F) adds to the log-odds of its score."""
        found, start = [], 0
        for trees, line in self._judges:
            own = features[:, start : start + trees.width]
            start += trees.width
            each = trees.contributions(own[0])
            found.append(each if line is None else (each + line.contributions(own)[0]) / 2)
        if len(found) > 1:
            shares = (1 - linear.IMAGE_SHARE, linear.IMAGE_SHARE)
            found = [share * each for share, each in zip(shares, found, strict=True)]
        return np.concatenate(found)

    def _placed(self, maps: Mapping[str, Map], contributions: NDArray[np.float64]) -> Map:
        heat = np.zeros((SIDE, SIDE), dtype=np.float32)
        start = 0
        for pool in self._pools:
            cells = maps[pool.tensor][0]
            own = np.maximum(contributions[start : start + len(cells)], 0)
            start += len(cells)
            heat += _upsampled(_by_cell(cells, own, pool.operator))
        blurred: Map = smoothing() @ heat @ smoothing().T
        return blurred


def hottest(heat: Map) -> tuple[int, int] | None:
    """Row and column of the hottest pixel, 0..223; None where nothing is hot."""
    if not heat.any():
        return None
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return int(row), int(column)


def overlay(pixels: NDArray[np.uint8], heat: Map, *, full: float | None = None) -> Image.Image:
    """Lay a heat map over its image.

    Parameters
    ----------
    pixels : uint8 (3, 224, 224).
    full : the heat, log-odds a pixel, at which colour is fullest; the map's own maximum if None.
        One number for several images makes their colours comparable.
    """
    scale = full or float(heat.max()) or 1.0
    share = Image.fromarray((np.clip(heat / scale, 0, 1) * 255).astype(np.uint8))
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    colour = ImageOps.colorize(share, _COLD, _HOT, mid=_WARM)
    opacity = share.point([round(_FULL_OPACITY * min(255, 2 * level)) for level in range(256)])
    return Image.composite(colour, picture, opacity)


@cache
def smoothing() -> Map:
    """Shares of each pixel that go to every other one of its row, (224, 224): a normal curve."""
    apart = np.abs(np.subtract.outer(np.arange(SIDE), np.arange(SIDE)))
    reach = round(_REACH * _BLUR)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * _BLUR**2))
    weights = np.exp(-(apart**2) / (2 * _BLUR**2)) / kernel.sum()
    found: Map = np.where(apart <= reach, weights, 0).astype(np.float32)
    return found


def _by_cell(cells: Map, contributions: NDArray[np.float64], operator: str) -> Map:
    """Put the contributions (C,) of the channels of ``cells`` (C, H, W) where they came from."""
    channels, height, width = cells.shape
    flat = np.maximum(cells.reshape(channels, -1), 0)
    placed = (contributions > 0) & flat.any(axis=1)  # a maximum of 0 is everywhere and nowhere
    flat, weight = flat[placed], contributions[placed]
    if operator == MEAN:
        grid = (weight / flat.sum(axis=1, dtype=np.float64)) @ flat
    else:
        grid = np.bincount(flat.argmax(axis=1), weights=weight, minlength=height * width)
    by_cell: Map = grid.reshape(height, width).astype(np.float32)
    return by_cell


def _upsampled(grid: Map) -> Map:
    """Spread each cell over its pixels; the sum stays."""
    rows, columns = SIDE // grid.shape[0], SIDE // grid.shape[1]
    spread: Map = np.kron(grid, np.full((rows, columns), 1 / (rows * columns), dtype=np.float32))
    return spread
