"""The ResNet-50 architecture as an ONNX graph: build one with seeded weights, recognise one.

Architecture: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016
(arXiv 1512.03385), table 1, column "50-layer". The built network has the stride of a stage in
its first 3x3 convolution ("v1.5"); a recognised one may have it in the 1x1 before that.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise, takewhile
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pcb_spark.core.errors import BackboneError

INPUT = "data"
"""Name of a cut graph's input."""

INPUT_SHAPE = ("N", 3, 224, 224)
"""Images of the batch, channels (RGB), height, width."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB values after division by 255."""

STAGE_BLOCKS = (3, 4, 6, 3)
STAGE_WIDTHS = (256, 512, 1024, 2048)
"""Output channels of a stage; the convolutions inside its blocks have a quarter of them."""

LEVEL_SHAPES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"layer1": (256, 56, 56), "layer2": (512, 28, 28),
     "layer3": (1024, 14, 14), "layer4": (2048, 7, 7)}
)  # fmt: skip
"""Channels, height and width of each stage's output for a 224 x 224 image."""

OPSET = 13
IR_VERSION = 8

_CONVOLUTIONS = 53
_BRANCH_GAIN = 0.5
"""Weight of a block's branch beside its identity shortcut; keeps 16 blocks at O(1)."""

_PASSED_OPERATORS = frozenset(
    {"Conv", "BatchNormalization", "Relu", "MaxPool", "AveragePool", "Identity"}
)
"""Operators that a branch of a residual block consists of, and what stands before the first."""

Array = npt.NDArray[np.float32]


def build(*, seed: int = 0, batch_norm: bool = False, classes: int = 1000) -> onnx.ModelProto:
    """Build an untrained ResNet-50 whose activations stay O(1) from first to last block.

    Parameters
    ----------
    seed : of the He-normal weights; the same seed gives the same bytes.
    batch_norm : True gives BatchNormalization nodes behind bias-free convolutions, and nodes
        without names, as exporters write them; False gives convolutions with bias.
    classes : width of the last layer.

    Returns
    -------
    Input ``data`` float32 (N, 3, 224, 224), normalised RGB; output ``logits`` (N, classes).
    """
    net = _Network(seed=seed, batch_norm=batch_norm)
    x = net.relu(net.convolution("stem", "data", (64, 3, 7, 7), stride=2))
    x = net.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = 64
    for stage, (width, blocks) in enumerate(zip(STAGE_WIDTHS, STAGE_BLOCKS, strict=True), 1):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 1 else 1
            x = _bottleneck(net, f"stage{stage}.{block}", x, inputs, width, stride)
            inputs = width
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])], axis=1)
    weight = net.normal("classifier.weight", (classes, inputs), gain=1.0)
    bias = net.store("classifier.bias", np.zeros(classes, np.float32))
    net.node("Gemm", [x, weight, bias], output="logits", transB=1)
    return net.model(classes)


def _bottleneck(net: _Network, name: str, x: str, inputs: int, width: int, stride: int) -> str:
    """Add one residual block; ``x`` has ``inputs`` channels, the result ``width``."""
    inner = width // 4
    projected = inputs != width
    y = net.relu(net.convolution(f"{name}.reduce", x, (inner, inputs, 1, 1)))
    y = net.relu(net.convolution(f"{name}.spatial", y, (inner, inner, 3, 3), stride=stride))
    # Two projections of equal variance add to twice the variance, which the Relu halves again.
    gain = 1.0 if projected else _BRANCH_GAIN
    y = net.convolution(f"{name}.expand", y, (width, inner, 1, 1), gain=gain)
    if projected:
        x = net.convolution(f"{name}.shortcut", x, (width, inputs, 1, 1), stride=stride, gain=1.0)
    return net.relu(net.node("Add", [y, x]))


@dataclass(slots=True, kw_only=True)
class _Network:
    """A graph under construction."""

    seed: int
    batch_norm: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def node(
        self, operator: str, inputs: Sequence[str], *, output: str | None = None,
        **attributes: Any,
    ) -> str:  # fmt: skip
        """Append a node and return the name of its output tensor."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        name = None if self.batch_norm else f"{output}_node"
        self.nodes.append(helper.make_node(operator, inputs, [output], name, **attributes))
        return output

    def relu(self, x: str) -> str:
        return self.node("Relu", [x])

    def convolution(
        self, name: str, x: str, shape: tuple[int, int, int, int], *,
        stride: int = 1, gain: float = 2.0**0.5,
    ) -> str:  # fmt: skip
        """Append a "same" convolution of kernel ``shape`` (out, in, height, width)."""
        weights = [self.normal(f"{name}.weight", shape, gain=gain)]
        if not self.batch_norm:
            weights.append(self.store(f"{name}.bias", np.zeros(shape[0], np.float32)))
        y = self.node(
            "Conv", [x, *weights], kernel_shape=shape[2:], strides=[stride, stride],
            pads=[shape[2] // 2, shape[3] // 2] * 2,
        )  # fmt: skip
        return self._normalised(name, y, shape[0]) if self.batch_norm else y

    def _normalised(self, name: str, x: str, channels: int) -> str:
        """Append a batch normalisation with statistics near, but not at, the identity."""
        random = self._random(f"{name}.norm")
        statistics = {
            "scale": random.uniform(0.9, 1.1, channels),
            "shift": random.uniform(-0.1, 0.1, channels),
            "mean": random.uniform(-0.1, 0.1, channels),
            "variance": random.uniform(0.9, 1.1, channels),
        }
        stored = [self.store(f"{name}.{k}", v.astype("f4")) for k, v in statistics.items()]
        return self.node("BatchNormalization", [x, *stored])

    def normal(self, name: str, shape: tuple[int, ...], *, gain: float) -> str:
        """Store weights ~ N(0, gain² / fan_in); He et al., arXiv 1502.01852, eq. 10: gain² = 2."""
        values = self._random(name).standard_normal(shape, dtype=np.float32)
        values *= np.float32(gain / float(np.prod(shape[1:])) ** 0.5)
        return self.store(name, values)

    def store(self, name: str, values: Array) -> str:
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def _random(self, name: str) -> np.random.Generator:
        # Keyed by name, so that no tensor's values depend on which others were drawn before.
        return np.random.Generator(np.random.PCG64([self.seed, zlib.crc32(name.encode())]))

    def model(self, classes: int) -> onnx.ModelProto:
        data = helper.make_tensor_value_info("data", TensorProto.FLOAT, INPUT_SHAPE)
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self.nodes, "resnet50", [data], [logits], self.weights)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
            producer_name="pcb_spark",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualBlock:
    """``output = Relu(branch(input) + shortcut(input))``, as found in a graph.

    ``width`` counts the output channels; ``plain`` is True for a ResNet-50 bottleneck, whose
    kernels are 1x1, 3x3, 1x1 (no groups) and at most a 1x1 in the shortcut.
    """

    input: str
    output: str
    width: int
    plain: bool


def residual_blocks(graph: onnx.GraphProto) -> tuple[ResidualBlock, ...]:
    """Find every Add whose two branches fork from one tensor and whose sum goes to a Relu."""
    producers = {tensor: node for node in graph.node for tensor in node.output}
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    behind = {node.input[0]: node.output[0] for node in graph.node if node.op_type == "Relu"}
    blocks = []
    for node in graph.node:
        if node.op_type != "Add" or node.output[0] not in behind:
            continue
        upstream = [dict(_upstream(tensor, producers)) for tensor in node.input]
        fork = next((tensor for tensor in upstream[0] if tensor in upstream[1]), None)
        if fork is None:
            continue
        branches = sorted((_kernels(branch, fork, shapes) for branch in upstream), key=len)
        blocks.append(_block(fork, behind[node.output[0]], *branches))
    return tuple(blocks)


def _upstream(
    tensor: str, producers: Mapping[str, onnx.NodeProto]
) -> Iterator[tuple[str, onnx.NodeProto | None]]:
    """Follow the data backwards from ``tensor`` to the next operator with two data inputs."""
    while (node := producers.get(tensor)) is not None and node.op_type in _PASSED_OPERATORS:
        yield tensor, node
        tensor = node.input[0]
    yield tensor, None


def _kernels(
    branch: Mapping[str, onnx.NodeProto | None], fork: str, shapes: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Kernel shapes (out, in / groups, height, width) of a branch, last convolution first."""
    nodes = [branch[tensor] for tensor in takewhile(lambda tensor: tensor != fork, branch)]
    return [
        shapes[node.input[1]]
        for node in nodes
        if node is not None and node.op_type == "Conv" and node.input[1] in shapes
    ]


def _block(
    fork: str, output: str, shortcut: list[tuple[int, ...]], branch: list[tuple[int, ...]]
) -> ResidualBlock:
    if not branch:
        return ResidualBlock(input=fork, output=output, width=0, plain=False)
    width, inputs = branch[0][0], branch[-1][1]
    inner = width // 4
    plain = branch == [(width, inner, 1, 1), (inner, inner, 3, 3), (inner, inputs, 1, 1)]
    plain = plain and shortcut in ([], [(width, inputs, 1, 1)])
    return ResidualBlock(input=fork, output=output, width=width, plain=plain)


def find_levels(graph: onnx.GraphProto, *, where: str = "the graph") -> dict[str, str]:
    """Verify that ``graph`` is a ResNet-50 and name the output tensor of each of its stages.

    53 convolutions and 16 chained bottleneck blocks of 3 x 256, 4 x 512, 6 x 1024 and 3 x 2048
    channels make a ResNet-50; names of nodes and tensors play no part. ``where`` names the graph
    in messages.

    Returns
    -------
    ``layer1`` .. ``layer4`` to the tensor behind the last Relu of the stage.

    Raises
    ------
    BackboneError : it is something else; the message says what was found.
    """
    blocks = residual_blocks(graph)
    operators = Counter(node.op_type for node in graph.node)
    expected = [w for w, n in zip(STAGE_WIDTHS, STAGE_BLOCKS, strict=True) for _ in range(n)]
    if (
        [block.width for block in blocks] != expected
        or operators["Conv"] != _CONVOLUTIONS
        or not all(block.plain for block in blocks)
        or any(first.output != second.input for first, second in pairwise(blocks))
    ):
        raise BackboneError(
            f"{where} is no ResNet-50",
            expected=f"16 bottleneck blocks with widths {_widths(expected)}, 53 convolutions",
            got=_describe(blocks, operators),
            hint="give a ResNet-50 (v1 or v1.5) as ONNX, or name its levels in backbone.levels",
        )
    ends = np.cumsum(STAGE_BLOCKS) - 1
    return {level: blocks[end].output for level, end in zip(LEVEL_SHAPES, ends, strict=True)}


def _describe(blocks: Sequence[ResidualBlock], operators: Counter[str]) -> str:
    """Say in one line what a graph holds."""
    widths = _widths([block.width for block in blocks])
    found = f"{len(blocks)} residual blocks" + (f" with widths {widths}" if blocks else "")
    unusual = sum(not block.plain for block in blocks)
    if unusual:
        found += f" ({unusual} of them not 1x1, 3x3, 1x1 without groups)"
    common = ", ".join(f"{name} x {count}" for name, count in operators.most_common(4))
    return f"{found}, {operators['Conv']} convolutions (operators: {common})"


def _widths(widths: Sequence[int]) -> str:
    return ", ".join(f"{width} x {len(list(run))}" for width, run in groupby(widths))
