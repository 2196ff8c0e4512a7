"""From anybody's ResNet-50 graph to the one form used here.

That form is: ONNX opset 13, IR 8; one input, float32 (N, 3, 224, 224) with a symbolic batch size;
the stages' outputs as the only outputs; every node named; batch normalisation folded into the
convolutions; no classifier behind the last stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference, version_converter
from onnx.utils import Extractor

from pcb_spark.core.errors import BackboneError
from pcb_spark.network import resnet50
from pcb_spark.network.resnet50 import INPUT_SHAPE, IR_VERSION, LEVEL_SHAPES, OPSET

_UNCHANGED_OPERATORS = frozenset({"Add", "Conv", "MaxPool", "Relu"})
_OLDEST_OPSET = 7
"""From this opset on, ONNX gave these operators new types and options, but no new meaning.

Such a graph is relabelled: ONNX's converter knows no way down from the opsets of today's exporters.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A graph in the form used here; ``levels`` maps ``layer1`` .. ``layer4`` to its outputs."""

    model: onnx.ModelProto
    input_name: str
    levels: Mapping[str, str]


def extract(
    model: onnx.ModelProto, *, where: str, input_name: str | None = None,
    level_names: Mapping[str, str] | None = None,
) -> Trunk:  # fmt: skip
    """Verify that ``model`` is a ResNet-50 and bring it into the form used here.

    ``model`` is consumed: it is changed on the way. ``where`` names it in messages.
    ``level_names``, where given, take the place of the walk over the residual blocks.

    Raises
    ------
    BackboneError : no image input, no ResNet-50, or no way to the opset.
    """
    graph = model.graph
    image = _image_input(graph, input_name, where)
    _fold_batch_norm(graph)
    levels = dict(level_names) if level_names else resnet50.find_levels(graph, where=where)
    _set_interface(graph, image, levels, where)
    part = _at_opset(between(model, image, list(levels.values())), where)
    _name_nodes(part.graph)
    _check_shapes(part, levels, where)
    return Trunk(model=part, input_name=image, levels=levels)


def between(model: onnx.ModelProto, input_name: str, outputs: list[str]) -> onnx.ModelProto:
    """Copy what leads from the model's input to some of its outputs, in their order."""
    part = Extractor(model).extract_model([input_name], outputs)
    part.graph.name = "resnet50"
    part.producer_name = "pcb_spark"
    del part.graph.value_info[:]
    return part


def rename_tensors(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors; one that already has a name to be given away gets a ``_`` appended."""
    taken = {tensor: f"{tensor}_" for tensor in names.values() if tensor not in names}
    renamed = {**taken, **names}
    for node in graph.node:
        node.input[:] = [renamed.get(tensor, tensor) for tensor in node.input]
        node.output[:] = [renamed.get(tensor, tensor) for tensor in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = renamed.get(value.name, value.name)


def _image_input(graph: onnx.GraphProto, name: str | None, where: str) -> str:
    """Find the one input that is no weight, and check that it takes images."""
    stored = {weight.name for weight in graph.initializer}
    inputs = {value.name: value.type.tensor_type for value in graph.input}
    images = [tensor for tensor in inputs if tensor not in stored]
    if name is None and len(images) == 1:
        name = images[0]
    if name is None or name not in images:
        raise BackboneError(
            f"{where} has no input {name!r}" if name else f"{where} has more inputs than one",
            expected="one image input", got=", ".join(images) or "none",
            hint="name the image input in backbone.input",
        )  # fmt: skip
    shape = _sizes(inputs[name])
    if inputs[name].elem_type != TensorProto.FLOAT or not _fits(shape, (0, *INPUT_SHAPE[1:])):
        kind = TensorProto.DataType.Name(inputs[name].elem_type).lower()
        raise BackboneError(
            f"input {name!r} of {where} takes no normalised 224 x 224 RGB images",
            expected="float [N, 3, 224, 224]", got=f"{kind} {_readable(shape)}",
            hint="export the network for that input",
        )  # fmt: skip
    return name


def _sizes(tensor: onnx.TypeProto.Tensor) -> tuple[int, ...]:
    """Sizes of a declared tensor, 0 for those that are symbolic or unknown."""
    return tuple(dim.dim_value for dim in tensor.shape.dim)


def _fits(sizes: Sequence[int], wanted: Sequence[int]) -> bool:
    """Compare two shapes; 0 fits every size."""
    return len(sizes) == len(wanted) and all(
        0 in pair or pair[0] == pair[1] for pair in zip(sizes, wanted, strict=True)
    )


def _readable(sizes: Sequence[int]) -> str:
    return f"[{', '.join(str(size or '?') for size in sizes)}]"


def _fold_batch_norm(graph: onnx.GraphProto) -> None:
    """Fold every BatchNormalization that alone reads a convolution into that convolution."""
    stored = {weight.name: weight for weight in graph.initializer}
    convolutions = {node.output[0]: node for node in graph.node if node.op_type == "Conv"}
    readers = Counter(tensor for node in graph.node for tensor in node.input)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = convolutions.get(norm.input[0])
        if conv is None or readers[norm.input[0]] > 1:
            continue
        if not stored.keys() >= {*conv.input[1:], *norm.input[1:]}:
            continue
        output = norm.output[0]
        names = [f"{output}/weight", f"{output}/bias"]
        for name, values in zip(names, _folded(conv, norm, stored), strict=True):
            graph.initializer.append(numpy_helper.from_array(values, name))
        conv.input[1:] = names
        conv.output[0] = output
        graph.node.remove(norm)


def _folded(
    conv: onnx.NodeProto, norm: onnx.NodeProto, stored: Mapping[str, TensorProto]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weight and bias of the one convolution that does the work of ``conv`` and ``norm``.

    With f = scale / sqrt(variance + epsilon): W' = f W and b' = f (b - mean) + shift; that is
    Ioffe and Szegedy, arXiv 1502.03167, algorithm 2, line 11, for x = W u + b. In float64.
    """
    weight, *bias = (_float64(stored[tensor]) for tensor in conv.input[1:])
    scale, shift, mean, variance = (_float64(stored[tensor]) for tensor in norm.input[1:5])
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    factor = scale / np.sqrt(variance + epsilon)
    offset = factor * (sum(bias) - mean) + shift
    return (weight * factor[:, None, None, None]).astype("f4"), offset.astype("f4")


def _float64(tensor: TensorProto) -> npt.NDArray[np.float64]:
    return numpy_helper.to_array(tensor).astype(np.float64)


def _set_interface(
    graph: onnx.GraphProto, input_name: str, levels: Mapping[str, str], where: str
) -> None:
    """Make the image the only input and the levels the only outputs, the batch symbolic."""
    inner = {tensor for node in graph.node for tensor in node.output}
    wrong = [f"{k} = {v}" for k, v in levels.items() if k not in LEVEL_SHAPES or v not in inner]
    if wrong:
        raise BackboneError(
            f"backbone.levels names what {where} doesn't have",
            expected=f"{', '.join(LEVEL_SHAPES)}, each the name of an inner tensor",
            got=", ".join(wrong),
        )
    # Shapes inside the graph may fix the batch size, and weights are no inputs from IR 4 on.
    del graph.input[:], graph.output[:], graph.value_info[:], graph.quantization_annotation[:]
    graph.input.append(_float_tensor(input_name, INPUT_SHAPE))
    for level, tensor in levels.items():
        graph.output.append(_float_tensor(tensor, ("N", *LEVEL_SHAPES[level])))


def _float_tensor(name: str, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _at_opset(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Bring the model to ``OPSET`` and ``IR_VERSION``."""
    model.ir_version = IR_VERSION
    domains = {node.domain for node in model.graph.node}
    used = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(used)
    for entry in model.opset_import:
        if entry.domain == "" and entry.version != OPSET:
            if entry.version < _OLDEST_OPSET or not _is_unchanging(model.graph):
                return _converted(model, where)
            entry.version = OPSET
    return model


def _is_unchanging(graph: onnx.GraphProto) -> bool:
    return all(node.op_type in _UNCHANGED_OPERATORS for node in graph.node)


def _converted(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    try:
        converted = version_converter.convert_version(model, OPSET)
    except (RuntimeError, version_converter.ConvertError) as error:
        raise BackboneError(
            f"{where} can't be converted to ONNX opset {OPSET}", got=error,
            hint=f"export the network with opset {OPSET}",
        ) from error  # fmt: skip
    converted.ir_version = IR_VERSION
    return converted


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own; SynapseML and profilers address nodes by name."""
    taken: set[str] = set()
    for node in graph.node:
        name = node.name or f"{node.output[0]}_node"
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def _check_shapes(model: onnx.ModelProto, levels: Mapping[str, str], where: str) -> None:
    """Check that the graph is complete and that each level has a ResNet-50's shape."""
    try:
        outputs = shape_inference.infer_shapes(_skeleton(model), strict_mode=True).graph.output
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise BackboneError(
            f"{where} isn't a complete graph from image to levels", got=str(error).strip(),
            hint="check backbone.input and backbone.levels, or export the network again",
        ) from error  # fmt: skip
    found = {value.name: _sizes(value.type.tensor_type) for value in outputs}
    for level, tensor in levels.items():
        if not _fits(found[tensor], (0, *LEVEL_SHAPES[level])):
            raise BackboneError(
                f"{level} of {where} (tensor {tensor!r}) isn't a ResNet-50's",
                expected=_readable((0, *LEVEL_SHAPES[level])), got=_readable(found[tensor]),
                hint="check backbone.levels, or give a ResNet-50 of the usual strides",
            )  # fmt: skip


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy the model with its weights' shapes in place of the 94 MB of their values."""
    graph = model.graph
    weights = [w for w in graph.initializer if w.data_type == TensorProto.FLOAT]
    others = [w for w in graph.initializer if w.data_type != TensorProto.FLOAT]
    shell = helper.make_graph(
        graph.node, graph.name, [*graph.input, *(_float_tensor(w.name, w.dims) for w in weights)],
        [_float_tensor(value.name, [None] * 4) for value in graph.output], others,
    )  # fmt: skip
    shell_model = helper.make_model(
        shell, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    checker.check_model(shell_model)
    return shell_model
