"""ONNX graphs from packed pixels to features and to a probability.

Graphs read one batch a call, laid out as ``batches`` says. Outputs are ``features`` float [1, K, F]
and, in a scoring graph, ``probability`` float [1, K].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto, helper

from pcb_spark.core import names, registration
from pcb_spark.core.batches import FEATURES, PROBABILITY
from pcb_spark.core.images import FULL_DEPTH
from pcb_spark.core.pairs import Reading
from pcb_spark.network import classifier_nodes, narrowing, pixel_numbers, pooling, unpacking
from pcb_spark.network.nodes import NodeBuilder, checked_model
from pcb_spark.network.resnet50 import INPUT

if TYPE_CHECKING:
    from pcb_spark.core.linear import Linear
    from pcb_spark.network.classifier_nodes import ImageClassifier

AVGPOOL = "avgpool"
PIXELS = "pixels"
WIDTHS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048, AVGPOOL: 2048}
#: How maps of the image itself are pooled beside a difference, as they are without one.
IMAGE_POOLING = ("mean", "max")
_LEVELS = ("levels", "pooling", "image_levels")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """Which numbers are read off the backbone, and how.

    ``levels`` are backbone stages, ``avgpool`` (the mean of layer4) or ``pixels``
    (``pixel_numbers``, beside one of the others, and only with ``difference``). ``pooling`` turns a
    map into numbers. With ``reading.difference`` the map is what differs between an image and its
    reference; behind these numbers then stand mean and maximum of the maps of the image itself at
    ``image_levels``, stages that a classifier of their own judges by.
    """

    levels: tuple[str, ...]
    pooling: tuple[str, ...]
    reading: Reading
    image_levels: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FeatureSpec:
        """Undo ``record``, whose versions before alignments were told apart filled images."""
        told = {"alignment": registration.FILL, **record}
        names_of = {name: tuple(told.pop(name, ())) for name in _LEVELS}
        return cls(**names_of, reading=Reading(**told))

    @property
    def record(self) -> dict[str, Any]:
        """Its fields and those of ``reading`` side by side, as they are stored."""
        told = {**{name: getattr(self, name) for name in _LEVELS}, **asdict(self.reading)}
        # Which earlier versions don't know.
        if self.reading.references == names.HANDED_OVER:
            del told["references"]
        if not self.image_levels:
            del told["image_levels"]
        return told

    @property
    def difference(self) -> bool:
        """Whether an image is compared with its reference."""
        return self.reading.difference

    @property
    def stages(self) -> tuple[str, ...]:
        """The backbone stages that have to be computed, in the order of depth."""
        return tuple(sorted({*self._compared, *self.image_levels}))

    @property
    def narrow_behind(self) -> str | None:
        """The deepest stage that references are needed at, where images are needed at a deeper."""
        deepest = max(self._compared)
        return deepest if any(level > deepest for level in self.image_levels) else None

    @property
    def _compared(self) -> set[str]:
        maps = set(self.levels) - {PIXELS}
        return {"layer4" if level == AVGPOOL else level for level in maps}

    @property
    def width(self) -> int:
        """F, the length of the feature vector."""
        return sum(columns.stop - columns.start for columns in column_slices(self).values())

    @property
    def image_width(self) -> int:
        """How many of these, the last ones, are of the image itself beside a difference."""
        return image_width(self.image_levels)


def image_width(levels: Sequence[str]) -> int:
    """How many numbers the maps of the image itself give at these stages."""
    return len(IMAGE_POOLING) * sum(WIDTHS[level] for level in levels)


def column_slices(spec: FeatureSpec) -> dict[tuple[str, str], slice]:
    """Say where the numbers of each (level, pooling) lie in the feature vector, in its order.

    With ``difference`` the first half of a slice is the excess, the second the lack; ``pixels`` are
    those of ``pixel_numbers.PIXEL_NUMBERS``, whatever the pooling. Those of the image itself beside
    a difference are (``image layer3``, pooling).
    """
    slices, start = {}, 0
    for level in spec.levels:
        if level == PIXELS:
            width = len(pixel_numbers.PIXEL_NUMBERS)
        else:
            width = WIDTHS[level] * (2 if spec.difference else 1)
        for kind in _pooling_of(level, spec):
            slices[level, kind] = slice(start, start + width)
            start += width
    for level in spec.image_levels:
        for kind in IMAGE_POOLING:
            slices[f"image {level}", kind] = slice(start, start + WIDTHS[level])
            start += WIDTHS[level]
    return slices


def _pooling_of(level: str, spec: FeatureSpec) -> tuple[str, ...]:
    return {AVGPOOL: ("mean",), PIXELS: (PIXELS,)}.get(level, spec.pooling)


def features_graph(trunk: onnx.ModelProto, spec: FeatureSpec) -> onnx.ModelProto:
    """Put the packed front end before ``trunk`` and the pooling behind it.

    Parameters
    ----------
    trunk : graph from normalised ``data`` [N, 3, 224, 224] to ``spec.stages``.

    Returns
    -------
    Graph from a batch to ``features`` float [1, K, F].
    """
    front, back = NodeBuilder(), NodeBuilder()
    unpacking.unpack(front, difference=spec.difference)
    if spec.narrow_behind is not None:
        trunk = narrowing.narrowed(trunk, spec.narrow_behind)
    maps = [_pool_level(back, trunk, level, spec) for level in spec.levels]
    for level in spec.image_levels:
        source = pooling.map_of(trunk, level)
        maps.append(pooling.pool_images(back, source, level, IMAGE_POOLING))
    flat = back.add("Concat", [name for level in maps for name in level], "flat_features", axis=1)
    back.add("Unsqueeze", [flat, back.ints("axis_0_out", 0)], FEATURES)
    nodes = [*front.nodes, *_connected(trunk, INPUT, unpacking.NORMALISED), *back.nodes]
    graph = helper.make_graph(
        _without_unread(nodes, FEATURES),
        "pcb_spark_features",
        unpacking.inputs(difference=spec.difference),
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "K", spec.width])],
        [*front.initializers, *trunk.graph.initializer, *back.initializers],
        doc_string=_done_before(spec),
    )
    return checked_model(graph)


def _done_before(spec: FeatureSpec) -> str | None:
    """What is done before the graph, yet is part of what its fingerprint stands for."""
    how = spec.reading
    aligned = [f"max_offset={how.max_offset}"] if how.max_offset else []
    if how.difference and how.alignment != registration.FILL:
        aligned.append(f"alignment={how.alignment}")
    shallow = [f"bit_depth={how.bit_depth}"] if how.bit_depth != FULL_DEPTH else []
    own = [f"references={how.references}"] if how.references != names.HANDED_OVER else []
    return " ".join([*aligned, *shallow, *own]) or None


def scoring_graph(
    features: onnx.ModelProto,
    trees: onnx.ModelProto,
    linear: Linear | None = None,
    image: ImageClassifier | None = None,
) -> onnx.ModelProto:
    """Fuse a classifier behind a features graph: pixels to probability in one pass.

    Parameters
    ----------
    trees : onnxmltools' conversion (zipmap off) with one TreeEnsembleClassifier.
    linear : stands beside the trees; None is trees alone.
    image : None where the image itself isn't judged apart.
    """
    fused = onnx.ModelProto()
    fused.CopyFrom(features)
    builder = NodeBuilder()
    classifier_nodes.append(builder, trees, linear, image)
    fused.graph.node.extend(builder.nodes)
    fused.graph.initializer.extend(builder.initializers)
    probability = helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [1, "K"])
    del fused.graph.output[:]
    fused.graph.output.append(probability)
    fused.graph.name = "pcb_spark_scoring"
    return checked_model(fused.graph)


def classifier_graph(
    trees: onnx.ModelProto,
    width: int,
    linear: Linear | None = None,
    image: ImageClassifier | None = None,
) -> onnx.ModelProto:
    """Return the classifier alone: ``features`` float [1, K, F] to ``probability`` float [1, K]."""
    builder = NodeBuilder()
    classifier_nodes.append(builder, trees, linear, image)
    graph = helper.make_graph(
        builder.nodes,
        "pcb_spark_classifier",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "K", width])],
        [helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, [1, "K"])],
        builder.initializers,
    )
    return checked_model(graph)


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


def _pool_level(b: NodeBuilder, trunk: onnx.ModelProto, level: str, spec: FeatureSpec) -> list[str]:
    if level == PIXELS:
        return [pixel_numbers.add_pixel_numbers(b)]
    source = pooling.map_of(trunk, "layer4" if level == AVGPOOL else level)
    kinds = _pooling_of(level, spec)
    if spec.difference:
        return pooling.pool_difference(b, source, level, kinds)
    return [pooling.pool(b, source, f"{level}_{kind}", kind) for kind in kinds]


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


def _without_unread(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """Leave out nodes whose outputs nobody reads, which ONNX Runtime would run all the same."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]
