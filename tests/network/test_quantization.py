from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pcb_spark.core.batches import FEATURES
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs, quantization
from pcb_spark.network.graphs import FeatureSpec
from pcb_spark.network.pooling import map_of
from tests.trunks import around, averaging_trunk, expected_maps, feed, run_graph


def photographs(count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Smooth random images (count, 3, 224, 224), so that averages over squares differ."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 14, 14), dtype=np.uint8)
    return coarse.repeat(16, axis=2).repeat(16, axis=3)


@pytest.fixture(scope="module")
def quantized() -> onnx.ModelProto:
    return quantization.quantize(averaging_trunk("layer1"), list(photographs(8)))


def steps(model: onnx.ModelProto) -> float:
    """The value of one step of layer1's 8 bits."""
    source = map_of(model, "layer1")
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    assert source.scale is not None
    return float(values[source.scale])


def test_convolutions_are_int8_with_a_scale_a_channel(quantized: onnx.ModelProto) -> None:
    weights = {each.name: numpy_helper.to_array(each) for each in quantized.graph.initializer}
    kernel = weights["layer1_kernel_quantized"]
    assert kernel.dtype == np.int8
    assert weights["layer1_kernel_scale"].shape == (256,)
    # Seven bits: pairs of products then fit the 16 bits of processors without VNNI.
    assert np.abs(kernel).max() == 64


def test_the_trunk_that_was_given_is_left_as_it_is() -> None:
    trunk = averaging_trunk("layer1")
    before = trunk.SerializeToString(deterministic=True)
    quantization.quantize(trunk, list(photographs(2)))
    assert trunk.SerializeToString(deterministic=True) == before


def test_the_same_images_give_the_same_graph() -> None:
    first, second = (
        quantization.quantize(averaging_trunk("layer1"), list(photographs(2))) for _ in range(2)
    )
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_differences_in_uint8_are_those_of_the_maps_but_for_rounding(
    quantized: onnx.ModelProto, kind: str
) -> None:
    pixels, golden = photographs(3, seed=1), photographs(2, seed=2)
    graph = graphs.features_graph(
        quantized,
        FeatureSpec(levels=("layer1",), pooling=(kind,), reading=Reading(difference=True)),
    )
    found = run_graph(graph, FEATURES, feed(pixels, golden, [0, 1, 1]))[0]
    x, r = expected_maps(pixels, "layer1"), expected_maps(golden[[0, 1, 1]], "layer1")
    sides = [np.maximum(x - around(r), 0), np.maximum(r - around(x), 0)]
    expected = np.concatenate([getattr(side, kind)((2, 3)) for side in sides], axis=1)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 4 * steps(quantized)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999


def test_single_images_are_pooled_from_uint8_as_well(quantized: onnx.ModelProto) -> None:
    pixels = photographs(3, seed=1)
    graph = graphs.features_graph(
        quantized,
        FeatureSpec(levels=("layer1",), pooling=("mean", "max"), reading=Reading(difference=False)),
    )
    found = run_graph(graph, FEATURES, feed(pixels))[0]
    maps = expected_maps(pixels, "layer1")
    expected = np.concatenate([maps.mean((2, 3)), maps.max((2, 3))], axis=1)
    assert np.abs(found - expected).max() < 4 * steps(quantized)


def test_an_image_that_equals_its_reference_has_no_difference(quantized: onnx.ModelProto) -> None:
    pixels = photographs(2, seed=3)
    graph = graphs.features_graph(
        quantized,
        FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True)),
    )
    found = run_graph(graph, FEATURES, feed(pixels, pixels, [0, 1]))
    assert not found.any()


def test_the_float_maps_of_a_quantised_trunk_are_not_computed(quantized: onnx.ModelProto) -> None:
    graph = graphs.features_graph(
        quantized,
        FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True)),
    )
    assert "layer1" not in {output for node in graph.graph.node for output in node.output}
