"""Small graphs that stand in for a ResNet-50 trunk: right names and widths, next to no work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from pcb_spark.core import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANNELS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}

_MEAN = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
_STD = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def averaging_trunk(*levels: str) -> onnx.ModelProto:
    """Each level is a 1 x 1 convolution and a Relu over the means of its stride's squares."""
    nodes, weights = [], []
    for level in levels:
        side = [STRIDES[level]] * 2
        pooled, mixed = f"{level}_pooled", f"{level}_mixed"
        nodes += [
            helper.make_node(
                "AveragePool", ["data"], [pooled], pooled, kernel_shape=side, strides=side
            ),
            helper.make_node("Conv", [pooled, f"{level}_kernel"], [mixed], mixed),
            helper.make_node("Relu", [mixed], [level], level),
        ]
        kernel = _kernel(level).astype(np.float32)[:, :, None, None]
        weights.append(numpy_helper.from_array(kernel, f"{level}_kernel"))
    return _model(nodes, weights, {level: CHANNELS[level] for level in levels})


def expected_maps(pixels: NDArray[np.uint8], level: str) -> NDArray[np.float32]:
    """What ``averaging_trunk`` makes of images (n, 3, 224, 224), in float64 and without ONNX."""
    stride = STRIDES[level]
    cells = 224 // stride
    normalised = (pixels / 255 - _MEAN) / _STD
    squares = normalised.reshape(-1, 3, cells, stride, cells, stride).mean((3, 5))
    mixed = np.einsum("kc,ncyx->nkyx", _kernel(level), squares)
    maps: NDArray[np.float32] = np.maximum(mixed, 0).astype(np.float32)
    return maps


def around(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Highest value of the 3 x 3 cells around each cell; those at the border have fewer."""
    height, width = maps.shape[2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    shifted = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    highest: NDArray[np.float32] = np.max(shifted, axis=0)
    return highest


def picking_trunk(spots: Sequence[tuple[int, int, int]]) -> onnx.ModelProto:
    """``layer1`` is one cell; its channels are the 256 pixels at (channel, row, column)."""
    places = np.array([(c * 224 + y) * 224 + x for c, y, x in spots], dtype=np.int64)
    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"], "flat"),
        helper.make_node("Gather", ["flat", "places"], ["picked"], "picked", axis=1),
        helper.make_node("Unsqueeze", ["picked", "last_axes"], ["layer1"], "layer1"),
    ]
    weights = [
        numpy_helper.from_array(places, "places"),
        numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "last_axes"),
    ]
    return _model(nodes, weights, {"layer1": 256})


def feed(
    pixels: NDArray[np.uint8],
    references: NDArray[np.uint8] | None = None,
    index: Sequence[int] = (),
) -> dict[str, NDArray[np.int64]]:
    """``batches.feed`` of images (n, 3, 224, 224)."""
    golden = None if references is None else list(references)
    return batches.feed(list(pixels), golden, index)


def run_graph(
    model: onnx.ModelProto, output: str, feeds: Mapping[str, NDArray[Any]]
) -> NDArray[Any]:
    """One output of a graph in plain ONNX Runtime, one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    found: NDArray[Any] = session.run([output], dict(feeds))[0]
    return found


def _kernel(level: str) -> NDArray[np.float64]:
    """Weights (out, 3) of a level, the same in every process."""
    return np.random.default_rng(CHANNELS[level]).normal(0, 1, (CHANNELS[level], 3))


def _model(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[TensorProto], widths: Mapping[str, int]
) -> onnx.ModelProto:
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 224, 224])
    outputs = [
        helper.make_tensor_value_info(level, TensorProto.FLOAT, ["N", width, "H", "W"])
        for level, width in widths.items()
    ]
    graph = helper.make_graph(nodes, "trunk", [data], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
