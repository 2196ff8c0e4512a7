from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from pcb_spark.core.errors import BackboneError
from pcb_spark.network import resnet50, trunk
from tests import graphs

Maps = list[npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def exported() -> onnx.ModelProto:
    return resnet50.build(batch_norm=True)


@pytest.fixture(scope="module")
def folded() -> onnx.ModelProto:
    return resnet50.build()


def copy(model: onnx.ModelProto, *, opset: int | None = None) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    if opset is not None:
        other.opset_import[0].version = opset
    return other


def with_identity(model: onnx.ModelProto, *, opset: int) -> onnx.ModelProto:
    """Pass the image through an Identity, an operator that only the converter can judge."""
    other = copy(model, opset=opset)
    other.graph.node[0].input[0] = "same"
    other.graph.node.insert(0, helper.make_node("Identity", ["data"], ["same"]))
    return other


def run(model: onnx.ModelProto, outputs: Sequence[str], images: npt.NDArray[np.float32]) -> Maps:
    model = copy(model)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    maps: Maps = session.run(list(outputs), {"data": images})
    return maps


def images(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(count, 3, 224, 224)).astype(np.float32)


def test_zoo_style_file_comes_out_in_the_one_form(exported: onnx.ModelProto) -> None:
    zoo = graphs.zoo_style(exported)
    onnx.checker.check_model(zoo)
    found = trunk.extract(copy(zoo), where="zoo.onnx")

    graph = found.model.graph
    onnx.checker.check_model(found.model, full_check=True)
    assert [(entry.domain, entry.version) for entry in found.model.opset_import] == [("", 13)]
    assert found.model.ir_version == 8
    assert {node.op_type for node in graph.node} == {"Conv", "Relu", "MaxPool", "Add"}
    assert len({node.name for node in graph.node}) == len(graph.node) == 119
    assert "" not in {node.name for node in graph.node}
    assert found.input_name == "data"
    assert [value.name for value in graph.input] == ["data"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert list(found.levels) == ["layer1", "layer2", "layer3", "layer4"]
    assert [value.name for value in graph.output] == list(found.levels.values())

    tensors = list(found.levels.values())
    for before, after in zip(
        run(zoo, tensors, images(1)), run(found.model, tensors, images(1)), strict=True
    ):
        assert np.abs(after - before).max() < 1e-4 * np.abs(before).max()
    assert [maps.shape for maps in run(found.model, tensors, images(2))] == [
        (2, 256, 56, 56), (2, 512, 28, 28), (2, 1024, 14, 14), (2, 2048, 7, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("opset", [11, 17, 22])
def test_opsets_in_which_the_operators_are_the_same_are_relabelled(
    folded: onnx.ModelProto, opset: int
) -> None:
    found = trunk.extract(copy(folded, opset=opset), where="x")
    assert [entry.version for entry in found.model.opset_import] == [13]
    assert found.model.graph.node[0].name == folded.graph.node[0].name


def test_other_operators_are_left_to_the_converter(folded: onnx.ModelProto) -> None:
    found = trunk.extract(with_identity(folded, opset=12), where="x")
    assert [entry.version for entry in found.model.opset_import] == [13]
    assert found.model.ir_version == 8
    assert found.model.graph.node[0].op_type == "Identity"


def test_what_the_converter_cannot_do_is_one_error(folded: onnx.ModelProto) -> None:
    with pytest.raises(BackboneError, match=r"new\.onnx can't be converted to ONNX opset 13"):
        trunk.extract(with_identity(folded, opset=17), where="new.onnx")


def test_imports_of_unused_domains_are_dropped(folded: onnx.ModelProto) -> None:
    model = copy(folded)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    found = trunk.extract(model, where="x")
    assert [(entry.domain, entry.version) for entry in found.model.opset_import] == [("", 13)]


def test_repeated_node_names_are_made_unique(folded: onnx.ModelProto) -> None:
    model = copy(folded)
    for node in model.graph.node:
        node.name = "same"
    names = [node.name for node in trunk.extract(model, where="x").model.graph.node]
    assert names[:3] == ["same", "same_", "same__"]
    assert len(set(names)) == len(names)


def test_batch_norm_whose_convolution_has_another_reader_stays(exported: onnx.ModelProto) -> None:
    model = copy(exported)
    stem = model.graph.node[0].output[0]
    model.graph.node.append(helper.make_node("Relu", [stem], ["also"]))
    found = trunk.extract(model, where="x")
    assert [n.op_type for n in found.model.graph.node].count("BatchNormalization") == 1


def test_batch_norm_with_computed_statistics_stays(exported: onnx.ModelProto) -> None:
    model = copy(exported)
    norm = model.graph.node[1]
    model.graph.node.insert(0, helper.make_node("Relu", [norm.input[4]], ["variance"]))
    model.graph.node[2].input[4] = "variance"
    found = trunk.extract(model, where="x")
    assert [n.op_type for n in found.model.graph.node].count("BatchNormalization") == 1


@pytest.mark.parametrize(
    ("shape", "data_type", "got"),
    [
        (["N", 224, 224, 3], TensorProto.FLOAT, "float [?, 224, 224, 3]"),
        ([1, 3, 299, 299], TensorProto.FLOAT, "float [1, 3, 299, 299]"),
        (["N", 3, 224], TensorProto.FLOAT, "float [?, 3, 224]"),
        (["N", 3, 224, 224], TensorProto.FLOAT16, "float16 [?, 3, 224, 224]"),
    ],
)
def test_input_for_other_images_is_refused(
    shape: list[int | str], data_type: int, got: str
) -> None:
    with pytest.raises(BackboneError, match="takes no normalised 224 x 224 RGB images") as caught:
        trunk.extract(graphs.mlp(shape, data_type=data_type), where="x")
    assert f"got: {got}" in str(caught.value)


def test_unknown_image_size_becomes_224(folded: onnx.ModelProto) -> None:
    model = copy(folded)
    for dim, name in zip(model.graph.input[0].type.tensor_type.shape.dim, "ncHW", strict=True):
        dim.dim_param = name
    found = trunk.extract(model, where="x").model.graph.input[0]
    assert [d.dim_param or d.dim_value for d in found.type.tensor_type.shape.dim] == [
        "N", 3, 224, 224,
    ]  # fmt: skip


def with_second_input(model: onnx.ModelProto) -> onnx.ModelProto:
    other = copy(model)
    other.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    return other


def test_two_inputs_need_a_name(folded: onnx.ModelProto) -> None:
    with pytest.raises(BackboneError, match="more inputs than one") as caught:
        trunk.extract(with_second_input(folded), where="x")
    assert "got: data, mask" in str(caught.value)
    found = trunk.extract(with_second_input(folded), where="x", input_name="data")
    assert [value.name for value in found.model.graph.input] == ["data"]


def test_named_input_must_exist(folded: onnx.ModelProto) -> None:
    with pytest.raises(BackboneError, match="x has no input 'image'"):
        trunk.extract(copy(folded), where="x", input_name="image")


def test_graph_that_also_reads_another_input_is_refused(folded: onnx.ModelProto) -> None:
    model = with_second_input(folded)
    model.graph.node.insert(0, helper.make_node("Add", ["data", "mask"], ["sum"]))
    model.graph.node[1].input[0] = "sum"
    with pytest.raises(BackboneError, match="isn't a complete graph from image to levels"):
        trunk.extract(model, where="x", input_name="data")


def test_named_levels_take_the_place_of_the_walk(folded: onnx.ModelProto) -> None:
    model = copy(folded)
    tensor = resnet50.find_levels(model.graph)["layer2"]
    model.graph.node.append(helper.make_node("Conv", ["data", "stem.weight"], ["more"]))
    found = trunk.extract(model, where="x", level_names={"layer2": tensor})
    assert found.levels == {"layer2": tensor}
    assert [value.name for value in found.model.graph.output] == [tensor]


@pytest.mark.parametrize(
    "levels", [{"layer2": "nowhere"}, {"layer5": "relu_1"}, {"layer1": "data"}]
)
def test_named_levels_must_exist(folded: onnx.ModelProto, levels: dict[str, str]) -> None:
    (got,) = (f"{level} = {tensor}" for level, tensor in levels.items())
    with pytest.raises(BackboneError, match=f"got: {got}"):
        trunk.extract(copy(folded), where="x", level_names=levels)


def test_level_of_another_shape_is_refused(folded: onnx.ModelProto) -> None:
    tensor = resnet50.find_levels(folded.graph)["layer3"]
    with pytest.raises(BackboneError, match=r"expected: \[\?, 512, 28, 28\]") as caught:
        trunk.extract(copy(folded), where="x", level_names={"layer2": tensor})
    assert "got: [?, 1024, 14, 14]" in str(caught.value)


def test_dilated_network_is_refused(folded: onnx.ModelProto) -> None:
    model = copy(folded)
    for node in model.graph.node:
        if node.input[1:2] and node.input[1].startswith("stage4.0."):
            strides = next(a for a in node.attribute if a.name == "strides")
            strides.ints[:] = [1, 1]
    with pytest.raises(BackboneError, match=r"got: \[\?, 2048, 14, 14\]"):
        trunk.extract(model, where="x")


def test_renaming_gives_way_for_a_name_that_is_taken() -> None:
    model = graphs.basic_blocks(1)
    trunk.rename_tensors(model.graph, {"x": "block0", "block1": "layer1"})
    assert model.graph.input[0].name == "block0"
    assert model.graph.output[0].name == "layer1"
    assert list(model.graph.node[0].input) == ["block0", "stem"]
    assert list(model.graph.node[0].output) == ["block0_"]
    assert list(model.graph.node[4].input) == ["second0", "block0_"]
