"""ONNX graphs from packed pixels to features and to a probability.

Graphs read one batch a call, laid out as ``batches`` says. Outputs are ``features`` float [1, K, F]
and, in a scoring graph, ``probability`` float [1, K].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pcb_spark.backbone import MEAN, STD
from pcb_spark.batches import CHANNELS, IMAGES, REFERENCE_INDEX, REFERENCES
from pcb_spark.images import SIDE, WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = "features"
PROBABILITY = "probability"

OPSET = 13
ML_OPSET = 1
IR_VERSION = 8

AVGPOOL = "avgpool"
WIDTHS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048, AVGPOOL: 2048}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """Which numbers are read off the backbone, and how.

    ``levels`` are backbone stages or ``avgpool`` (the mean of layer4). ``pooling`` turns a map into
    numbers. With ``difference`` the map is what differs between an image and its reference.
    """

    levels: tuple[str, ...]
    pooling: tuple[str, ...]
    difference: bool

    @property
    def stages(self) -> tuple[str, ...]:
        """The backbone stages that have to be computed, in the order of depth."""
        return tuple(sorted({"layer4" if level == AVGPOOL else level for level in self.levels}))

    @property
    def width(self) -> int:
        """F, the length of the feature vector."""
        return sum(
            WIDTHS[level] * len(_pooling_of(level, self)) * (2 if self.difference else 1)
            for level in self.levels
        )


def _pooling_of(level: str, spec: FeatureSpec) -> tuple[str, ...]:
    return ("mean",) if level == AVGPOOL else spec.pooling


class _Builder:
    """Collects nodes and constants; every node gets a name, as ONNXModel's slicing needs."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        node = helper.make_node(op, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, dtype=np.int64))


def features_graph(trunk: onnx.ModelProto, spec: FeatureSpec) -> onnx.ModelProto:
    """Put the packed front end before ``trunk`` and the pooling behind it.

    Parameters
    ----------
    trunk : graph from normalised ``data`` [N, 3, 224, 224] to ``spec.stages``.

    Returns
    -------
    Graph from a batch to ``features`` float [1, K, F].
    """
    front, back = _Builder(), _Builder()
    _unpack(front, difference=spec.difference)
    maps = [_pool_level(back, level, spec) for level in spec.levels]
    flat = back.add("Concat", [name for level in maps for name in level], "flat_features", axis=1)
    back.add("Unsqueeze", [flat, back.ints("axis_0_out", 0)], FEATURES)
    graph = helper.make_graph(
        [*front.nodes, *_connected(trunk, "data", "normalised"), *back.nodes],
        "pcb_spark_features",
        _inputs(spec),
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "K", spec.width])],
        [*front.initializers, *trunk.graph.initializer, *back.initializers],
    )
    return _model(graph)


def scoring_graph(
    features: onnx.ModelProto, trees: onnx.ModelProto, *, keep_features: bool = False
) -> onnx.ModelProto:
    """Fuse LightGBM's trees behind a features graph: pixels to probability in one pass.

    Parameters
    ----------
    trees : onnxmltools' conversion (zipmap off) with one TreeEnsembleClassifier.
    keep_features : leave ``features`` as a second output.
    """
    width = features.graph.output[0].type.tensor_type.shape.dim[2].dim_value
    fused = onnx.ModelProto()
    fused.CopyFrom(features)
    builder = _Builder()
    _append_trees(builder, trees)
    fused.graph.node.extend(builder.nodes)
    fused.graph.initializer.extend(builder.initializers)
    outputs = [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [1, "K"])]
    if keep_features:
        outputs.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "K", width]))
    del fused.graph.output[:]
    fused.graph.output.extend(outputs)
    fused.graph.name = "pcb_spark_scoring"
    return _model(fused.graph)


def trees_graph(trees: onnx.ModelProto, width: int) -> onnx.ModelProto:
    """Return the trees alone: ``features`` float [1, K, F] to ``probability`` float [1, K]."""
    builder = _Builder()
    _append_trees(builder, trees)
    graph = helper.make_graph(
        builder.nodes,
        "pcb_spark_trees",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "K", width])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [1, "K"])],
        builder.initializers,
    )
    return _model(graph)


def with_threads(model: onnx.ModelProto, threads: int) -> onnx.ModelProto:
    """Return a copy whose metadata asks ONNX Runtime for ``threads`` a session.

    ONNXModel has no thread setting of its own; ONNX Runtime reads this one where
    ORT_LOAD_CONFIG_FROM_MODEL=1 is set in the executor's environment.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    config = f'{{"session_options": {{"intra_op_num_threads": {threads}}}}}'
    helper.set_model_props(copy, {"ort_config": config})
    return copy


def _append_trees(builder: _Builder, trees: onnx.ModelProto) -> None:
    rows = builder.add("Squeeze", [FEATURES, builder.ints("axis_0_trees", 0)], "feature_rows")
    classifier = onnx.NodeProto()
    found = next(n for n in trees.graph.node if n.op_type == "TreeEnsembleClassifier")
    classifier.CopyFrom(found)
    classifier.name = "trees"
    classifier.input[0] = rows
    classifier.output[0], classifier.output[1] = "tree_label", "tree_probabilities"
    builder.nodes.append(classifier)
    one = builder.ints("fail_column", 1)
    fail = builder.add("Gather", ["tree_probabilities", one], "fail_probability", axis=1)
    builder.add("Transpose", [fail], PROBABILITY, perm=[1, 0])


def _inputs(spec: FeatureSpec) -> list[onnx.ValueInfoProto]:
    shapes: dict[str, list[int | str]] = {IMAGES: [1, "T"], CHANNELS: [1, 1]}
    if spec.difference:
        shapes |= {REFERENCES: [1, "R"], REFERENCE_INDEX: [1, "K"]}
    return [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name, shape in shapes.items()
    ]


def _unpack(b: _Builder, *, difference: bool) -> None:
    """Words to normalised pixels: each int64 holds eight bytes, low byte first."""
    axis = b.ints("axis_0", 0)
    words = b.add("Squeeze", [IMAGES, axis], "image_words")
    channels = b.add("Squeeze", [CHANNELS, axis], "channel_count")
    per_image = b.add("Mul", [channels, b.ints("words_per_channel", WORDS)], "words_per_image")
    if difference:
        _index_references(b, axis, per_image)
        references = b.add("Squeeze", [REFERENCES, axis], "reference_words")
        words = b.add("Concat", [words, references], "words", axis=0)
    unsigned = b.add("Cast", [words], "unsigned_words", to=TensorProto.UINT64)
    row = [b.ints("any", -1), b.ints("one", 1), per_image]
    rows = b.add("Reshape", [unsigned, b.add("Concat", row, "row_shape", axis=0)], "word_rows")
    shifts = b.constant("shifts", (np.arange(8, dtype=np.uint64) * 8).reshape(1, 8, 1))
    shifted = b.add("BitShift", [rows, shifts], "shifted", direction="RIGHT")
    octets = b.add("Cast", [shifted], "octets", to=TensorProto.UINT8)
    pixels = b.add("Cast", [octets], "pixels", to=TensorProto.FLOAT)
    _normalise(b, pixels, channels)


def _normalise(b: _Builder, pixels: str, channels: str) -> None:
    """Pixels 0..255 of one or three channels to three channels of zero mean and unit variance."""
    plane = ["any", channels, b.ints("side", SIDE, SIDE)]
    planes = b.add("Reshape", [pixels, b.add("Concat", plane, "plane_shape", axis=0)], "planes")
    mean, std = (np.array(c, dtype=np.float32).reshape(1, 3, 1, 1) * 255 for c in (MEAN, STD))
    # one grey channel becomes three by broadcasting; Expand would take as long as a convolution
    centred = b.add("Sub", [planes, b.constant("mean", mean)], "centred")
    scaled = b.add(
        "Mul", [centred, b.constant("inverse_std", (1 / std).astype(np.float32))], "scaled"
    )
    # says the shape, which broadcasting hides and the optimiser wants to know
    b.add("Reshape", [scaled, b.ints("image_shape", -1, 3, SIDE, SIDE)], "normalised")


def _index_references(b: _Builder, axis: str, per_image: str) -> None:
    """Name the rows of the backbone's output: images are 0..K-1, references follow."""
    b.add("Squeeze", [REFERENCE_INDEX, axis], "reference_rows")
    length = b.add("Shape", ["image_words"], "image_words_length")
    b.add("Div", [length, per_image], "image_count")
    b.ints("first_axis", 0)


def _pool_level(b: _Builder, level: str, spec: FeatureSpec) -> list[str]:
    stage = "layer4" if level == AVGPOOL else level
    if spec.difference:
        return _pool_difference(b, level, stage, _pooling_of(level, spec))
    return [_pool(b, stage, f"{level}_{kind}", kind) for kind in _pooling_of(level, spec)]


def _pool_difference(b: _Builder, level: str, stage: str, pooling: Iterable[str]) -> list[str]:
    """Pool what no neighbour explains, both ways.

    At a cell of an activation map x and its reference r the *excess* is max(0, x - max of r over
    the 3 x 3 cells around) and the *lack* is max(0, r - max of x over the 3 x 3 cells around). A
    shift of up to one cell (4 px in layer1, 8 px in layer2) makes neither, a defect does. On 6,664
    tiles shifted by up to 3 px this took the mean AUC from .982 (plain abs difference) to .990.
    """
    end = b.ints(f"{level}_end", np.iinfo(np.int64).max)
    start = b.ints(f"{level}_start", 0)
    image = b.add("Slice", [stage, start, "image_count", "first_axis"], f"{level}_image")
    golden = b.add("Slice", [stage, "image_count", end, "first_axis"], f"{level}_golden")
    around_golden = _around(b, golden, f"{level}_golden_around")
    around_image = _around(b, image, f"{level}_image_around")
    per_image = [
        b.add("Gather", [name, "reference_rows"], f"{name}_per_image", axis=0)
        for name in (golden, around_golden)
    ]
    excess = b.add("Sub", [image, per_image[1]], f"{level}_signed_excess")
    lack = b.add("Sub", [per_image[0], around_image], f"{level}_signed_lack")
    return [
        _pool_positive(b, signed, f"{level}_{side}_{kind}", kind)
        for kind in pooling
        for side, signed in (("excess", excess), ("lack", lack))
    ]


def _around(b: _Builder, name: str, output: str) -> str:
    return b.add("MaxPool", [name], output, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def _pool_positive(b: _Builder, signed: str, output: str, kind: str) -> str:
    """Pool max(0, signed); for the maximum it is cheaper to clip the pooled number."""
    if kind == "max":
        return b.add("Relu", [_pool(b, signed, f"{output}_signed", kind)], output)
    positive = b.add("Relu", [signed], f"{output}_positive")
    return _pool(b, positive, output, kind)


def _pool(b: _Builder, name: str, output: str, kind: str) -> str:
    op = "ReduceMax" if kind == "max" else "ReduceMean"
    return b.add(op, [name], output, axes=[2, 3], keepdims=0)


def _connected(trunk: onnx.ModelProto, old: str, new: str) -> list[onnx.NodeProto]:
    nodes = []
    for node in trunk.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for position, name in enumerate(copy.input):
            if name == old:
                copy.input[position] = new
        nodes.append(copy)
    return nodes


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pcb_spark"
    )
    onnx.checker.check_model(model)
    return model
