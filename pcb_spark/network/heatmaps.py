"""Where in an image the model saw a defect.

LightGBM says how much each pooled number moved the log-odds of ``fail`` (TreeSHAP: Lundberg, Erion
and Lee, "Consistent individualized feature attribution for tree ensembles", 2018), and a logistic
regression beside the trees what it adds to those of an image of average features. A maximum came
from one cell of an activation map, so that cell gets all of it; a mean came from every cell, and
each gets its share. What a number of the pixel difference says goes to where its map is highest.
Summed over channels and levels this is a map of the image.

It runs in plain ONNX Runtime on the bundle's own features graph, whose inner maps become outputs:
meant for the few images of a report, not for a night's worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from PIL import Image, ImageOps
from scipy import ndimage

from pcb_spark.core import batches, bundle
from pcb_spark.core.errors import BundleError
from pcb_spark.core.images import SIDE
from pcb_spark.network import linear, pixel_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]

#: Standard deviation, px of 224, of the blur that adds up what neighbouring cells say. A cell of
#: layer1 sees 35 px of the image and one of layer2 91 px, so that finer detail would be made up.
_BLUR: Final = 8.0
_MAXIMUM, _MEAN = "ReduceMax", "ReduceMean"
_FULL_OPACITY: Final = 0.75
#: Dark red over orange to pale yellow: rises in lightness, so that it reads in grey too.
_COLD, _WARM, _HOT = "#7a0403", "#fb7e21", "#fff3a0"


@dataclass(frozen=True, slots=True)
class _Pool:
    """One input of the feature vector: the map that is pooled, and by which operator."""

    tensor: str
    operator: str


class HeatMapper:
    """Heat maps of one bundle; holds one ONNX session and the trees.

    ``reading`` says how pairs are read for it.
    """

    def __init__(self, model: bundle.Bundle) -> None:
        import lightgbm  # here, since it brings scikit-learn, a second that few jobs need

        graph = onnx.load_from_string(model.parts[bundle.FEATURES])
        self._pools = _pools(graph.graph)
        self.reading = model.manifest.reading
        self._session = ort.InferenceSession(_exposed(graph, self._pools).SerializeToString())
        self._linear = linear.of_bundle(model)
        self._trees = lightgbm.Booster(model_str=model.parts[bundle.CLASSIFIER].decode())

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
        names = [output.name for output in self._session.get_outputs()]
        found = dict(zip(names, self._session.run(names, inputs), strict=True))
        features = found[batches.FEATURES][0]
        contributions = np.asarray(self._trees.predict(features, pred_contrib=True))[0, :-1]
        if self._linear is not None:
            contributions = (contributions + self._linear.contributions(features)[0]) / 2
        return self._placed(found, contributions)

    def _placed(self, maps: Mapping[str, Map], contributions: NDArray[np.float64]) -> Map:
        heat = np.zeros((SIDE, SIDE), dtype=np.float32)
        start = 0
        for pool in self._pools:
            cells = maps[pool.tensor][0]
            own = np.maximum(contributions[start : start + len(cells)], 0)
            start += len(cells)
            heat += _upsampled(_by_cell(cells, own, pool.operator))
        blurred: Map = ndimage.gaussian_filter(heat, _BLUR, mode="constant")
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


def _pools(graph: onnx.GraphProto) -> tuple[_Pool, ...]:
    """What each input of the feature vector pools, in order, as the graph itself says."""
    makers = {output: node for node in graph.node for output in node.output}

    def above(tensor: str, *operators: str) -> onnx.NodeProto:
        node: onnx.NodeProto = makers[tensor]
        while node.op_type not in operators:
            node = makers[node.input[0]]
        return node

    def as_float(tensor: str) -> str:
        maker: onnx.NodeProto = makers[tensor]
        return maker.input[0] if maker.op_type == "QuantizeLinear" else tensor

    def pools_of(tensor: str) -> Iterator[_Pool]:
        if tensor == pixel_numbers.OUTPUT:
            for number in pixel_numbers.PIXEL_NUMBERS:
                operator = _MEAN if number.endswith("_mean") else _MAXIMUM
                yield _Pool(pixel_numbers.shown_map(number), operator)
        else:
            node = above(tensor, _MAXIMUM, _MEAN)
            yield _Pool(as_float(node.input[0]), node.op_type)

    pooled = above(batches.FEATURES, "Concat").input
    return tuple(pool for tensor in pooled for pool in pools_of(tensor))


def _exposed(model: onnx.ModelProto, pools: tuple[_Pool, ...]) -> onnx.ModelProto:
    """Make the pooled maps outputs."""
    for tensor in dict.fromkeys(pool.tensor for pool in pools):
        shape = [None] * 4
        model.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
    return model


def _by_cell(cells: Map, contributions: NDArray[np.float64], operator: str) -> Map:
    """Put the contributions (C,) of the channels of ``cells`` (C, H, W) where they came from."""
    channels, height, width = cells.shape
    flat = np.maximum(cells.reshape(channels, -1), 0)
    placed = (contributions > 0) & flat.any(axis=1)  # a maximum of 0 is everywhere and nowhere
    flat, weight = flat[placed], contributions[placed]
    if operator == _MEAN:
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
