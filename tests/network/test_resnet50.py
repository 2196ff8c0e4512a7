from __future__ import annotations

from collections import Counter
from math import prod

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from pcb_spark.core.errors import BackboneError
from pcb_spark.network import resnet50
from tests import graphs


@pytest.fixture(scope="module")
def folded() -> onnx.ModelProto:
    return resnet50.build(seed=3)


@pytest.fixture(scope="module")
def with_batch_norm() -> onnx.ModelProto:
    return resnet50.build(seed=3, batch_norm=True)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def parameters(model: onnx.ModelProto) -> int:
    return sum(prod(weight.dims) for weight in model.graph.initializer)


def shapes_only(model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph without the values of its weights, cheap to copy and to change."""
    graph = onnx.GraphProto(node=model.graph.node)
    for weight in model.graph.initializer:
        graph.initializer.add(name=weight.name, dims=weight.dims)
    return graph


def test_folded_network_has_the_operators_and_parameters_of_resnet50(
    folded: onnx.ModelProto,
) -> None:
    onnx.checker.check_model(folded, full_check=True)
    assert operators(folded) == {
        "Conv": 53, "Relu": 49, "Add": 16, "MaxPool": 1, "GlobalAveragePool": 1, "Flatten": 1,
        "Gemm": 1,
    }  # fmt: skip
    # 23,454,912 in kernels, 26,560 biases, 2,048 x 1,000 + 1,000 in the last layer.
    assert parameters(folded) == 25_530_472
    assert [value.name for value in folded.graph.input] == ["data"]
    assert [value.name for value in folded.graph.output] == ["logits"]


def test_batch_norm_network_looks_like_an_export(with_batch_norm: onnx.ModelProto) -> None:
    onnx.checker.check_model(with_batch_norm, full_check=True)
    assert operators(with_batch_norm)["BatchNormalization"] == 53
    # As above, with scale, shift, mean and variance for each of 26,560 channels.
    assert parameters(with_batch_norm) == 25_610_152
    assert {node.name for node in with_batch_norm.graph.node} == {""}
    assert [value.name for value in with_batch_norm.graph.output] == ["logits"]


def test_same_seed_same_bytes(folded: onnx.ModelProto) -> None:
    assert resnet50.build(seed=3).SerializeToString() == folded.SerializeToString()


def test_another_seed_other_weights(folded: onnx.ModelProto) -> None:
    assert resnet50.build(seed=4).SerializeToString() != folded.SerializeToString()


def test_classes_set_the_width_of_the_last_layer() -> None:
    model = resnet50.build(classes=2)
    shape = model.graph.output[0].type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in shape.dim] == ["N", 2]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_activations_neither_explode_nor_vanish(batch_norm: bool) -> None:
    model = resnet50.build(batch_norm=batch_norm)
    del model.graph.output[:]
    for block in resnet50.residual_blocks(model.graph):
        model.graph.output.append(helper.make_empty_tensor_value_info(block.output))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    deviations = [float(output.std()) for output in session.run(None, {"data": image})]
    assert len(deviations) == 16
    assert min(deviations) > 0.5
    assert max(deviations) < 10


@pytest.mark.parametrize("network", ["folded", "with_batch_norm"])
def test_residual_blocks_are_found_in_order(network: str, request: pytest.FixtureRequest) -> None:
    blocks = resnet50.residual_blocks(request.getfixturevalue(network).graph)
    assert [block.width for block in blocks] == (
        [256, 256, 256, 512, 512, 512, 512] + [1024] * 6 + [2048] * 3
    )
    assert all(block.plain for block in blocks)


@pytest.mark.parametrize("network", ["folded", "with_batch_norm"])
def test_levels_are_the_ends_of_the_stages(network: str, request: pytest.FixtureRequest) -> None:
    graph = request.getfixturevalue(network).graph
    levels = resnet50.find_levels(graph)
    readers = {level: Counter[str]() for level in levels}
    for node in graph.node:
        for level, tensor in levels.items():
            readers[level].update({node.op_type: 1} if tensor in node.input else {})
    # A stage's end feeds the reducing and the shortcut convolution of the next stage.
    assert readers == {
        "layer1": {"Conv": 2}, "layer2": {"Conv": 2}, "layer3": {"Conv": 2},
        "layer4": {"GlobalAveragePool": 1},
    }  # fmt: skip


def test_network_of_basic_blocks_is_refused_with_what_was_found() -> None:
    with pytest.raises(BackboneError, match=r"drop\.onnx is no ResNet-50") as caught:
        resnet50.find_levels(graphs.basic_blocks(7).graph, where="drop.onnx")
    assert "7 residual blocks with widths 8 x 7" in str(caught.value)
    assert "15 convolutions" in str(caught.value)


def test_network_without_convolutions_is_refused() -> None:
    with pytest.raises(BackboneError, match="0 residual blocks, 0 convolutions"):
        resnet50.find_levels(graphs.mlp().graph)


def test_grouped_convolutions_are_refused(folded: onnx.ModelProto) -> None:
    graph = shapes_only(folded)
    for weight in graph.initializer:
        if weight.name == "stage2.1.spatial.weight":
            weight.dims[:] = [128, 4, 3, 3]
    with pytest.raises(BackboneError, match=r"1 of them not 1x1, 3x3, 1x1 without groups"):
        resnet50.find_levels(graph)


def test_one_convolution_too_many_is_refused(folded: onnx.ModelProto) -> None:
    graph = shapes_only(folded)
    graph.node.append(helper.make_node("Conv", ["data", "stem.weight"], ["more"]))
    with pytest.raises(BackboneError, match="54 convolutions"):
        resnet50.find_levels(graph)


def test_kernels_that_are_not_stored_are_no_residual_block(folded: onnx.ModelProto) -> None:
    graph = shapes_only(folded)
    del graph.initializer[:]
    with pytest.raises(BackboneError, match="16 residual blocks with widths 0 x 16"):
        resnet50.find_levels(graph)


def test_blocks_that_do_not_follow_each_other_are_refused(folded: onnx.ModelProto) -> None:
    graph = shapes_only(folded)
    ends = [block.output for block in resnet50.residual_blocks(graph)]
    for node in graph.node:
        # The third block of stage 1 reads what the second reads, so the second leads nowhere.
        node.input[:] = [ends[0] if tensor == ends[1] else tensor for tensor in node.input]
    with pytest.raises(BackboneError, match="no ResNet-50"):
        resnet50.find_levels(graph)


def test_sum_of_unrelated_tensors_is_no_residual_block() -> None:
    graph = onnx.GraphProto()
    graph.node.extend([
        helper.make_node("Add", ["x", "y"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["out"]),
    ])  # fmt: skip
    assert resnet50.residual_blocks(graph) == ()


def test_declared_levels_match_the_built_network(folded: onnx.ModelProto) -> None:
    levels = resnet50.find_levels(folded.graph)
    inferred = onnx.shape_inference.infer_shapes(folded).graph.value_info
    found = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])
        for value in inferred
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    assert [found[tensor] for tensor in levels.values()] == [
        (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7),
    ]  # fmt: skip
