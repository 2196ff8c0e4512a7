"""ONNX graphs for tests: ResNet-50 as others export it, and networks that are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE = ("N", 3, 224, 224)


def zoo_style(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite a ``resnet50.build(batch_norm=True)`` as the ONNX model zoo's files are written.

    Opset 7 and IR 3, so weights are listed as inputs too; batch size fixed to 1; BatchNormalization
    with the attributes of its time; biases on the 1x1 convolutions; every tensor renamed.
    """
    old = onnx.ModelProto()
    old.CopyFrom(model)
    old.ir_version = 3
    old.opset_import[0].version = 7
    graph = old.graph
    _add_biases(graph)
    for node in graph.node:
        node.input[:] = [_zoo_name(tensor) for tensor in node.input]
        node.output[:] = [_zoo_name(tensor) for tensor in node.output]
        if node.op_type == "BatchNormalization":
            node.attribute.append(helper.make_attribute("spatial", 1))
    for value in (*graph.output, *graph.initializer):
        value.name = _zoo_name(value.name)
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph.input.extend(
        helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, weight.dims)
        for weight in graph.initializer
    )
    return old


def _zoo_name(tensor: str) -> str:
    return tensor if tensor == "data" else f"resnetv17_{tensor}_fwd"


def _add_biases(graph: onnx.GraphProto) -> None:
    random = np.random.default_rng(7)
    kernels = {weight.name: weight.dims for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv" and list(kernels[node.input[1]][2:]) == [1, 1]:
            name = f"{node.output[0]}_bias"
            values = random.normal(0, 0.1, kernels[node.input[1]][0]).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(values, name))
            node.input.append(name)


def mlp(
    shape: Sequence[int | str] = IMAGE, *, data_type: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """A classifier that is no convolutional network: Flatten, then Identity."""
    return _model(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Identity", ["flat"], ["y"]),
        ],
        [helper.make_tensor_value_info("x", data_type, shape)],
        [helper.make_tensor_value_info("y", data_type, ["N", None])],
    )


def basic_blocks(count: int, channels: int = 8) -> onnx.ModelProto:
    """``count`` residual blocks of two 3x3 convolutions each, as in ResNet-18 and -34."""
    stem = np.zeros((channels, 3, 3, 3), np.float32)
    kernel = np.zeros((channels, channels, 3, 3), np.float32)
    pads = [1, 1, 1, 1]
    nodes = [helper.make_node("Conv", ["x", "stem"], ["block0"], pads=pads)]
    for i in range(count):
        nodes += [
            helper.make_node("Conv", [f"block{i}", "kernel"], [f"first{i}"], pads=pads),
            helper.make_node("Relu", [f"first{i}"], [f"relu{i}"]),
            helper.make_node("Conv", [f"relu{i}", "kernel"], [f"second{i}"], pads=pads),
            helper.make_node("Add", [f"second{i}", f"block{i}"], [f"sum{i}"]),
            helper.make_node("Relu", [f"sum{i}"], [f"block{i + 1}"]),
        ]
    return _model(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, IMAGE)],
        [
            helper.make_tensor_value_info(
                f"block{count}", TensorProto.FLOAT, ["N", channels, 224, 224]
            )
        ],
        [numpy_helper.from_array(stem, "stem"), numpy_helper.from_array(kernel, "kernel")],
    )


def external_weights() -> onnx.ModelProto:
    """A model whose only weight is said to be in ``weights.bin``."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    return _model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], [weight])


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: Sequence[TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "test", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
