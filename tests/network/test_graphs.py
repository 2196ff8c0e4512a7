from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pcb_spark.core import batches, images
from pcb_spark.core.batches import FEATURES
from pcb_spark.core.pairs import Reading
from pcb_spark.network import quantization
from pcb_spark.network.graphs import (
    WIDTHS,
    FeatureSpec,
    column_slices,
    features_graph,
    with_threads,
)
from tests.trunks import (
    STRIDES,
    around,
    averaging_trunk,
    expected_maps,
    feed,
    picking_trunk,
    run_graph,
)

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray


def spec(*levels: str, pooling: Sequence[str] = ("max",), difference: bool = False) -> FeatureSpec:
    return FeatureSpec(
        levels=levels, pooling=tuple(pooling), reading=Reading(difference=difference)
    )


def noise(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random images (count, 3, 224, 224)."""
    size = (count, 3, images.SIDE, images.SIDE)
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def features(
    trunk: onnx.ModelProto, wanted: FeatureSpec, feeds: Mapping[str, NDArray[Any]]
) -> NDArray[np.float32]:
    """Features (K, F) of one batch."""
    found = run_graph(features_graph(trunk, wanted), FEATURES, feeds)
    assert found.dtype == np.float32
    assert found.shape[0] == 1
    assert found.shape[2] == wanted.width
    rows: NDArray[np.float32] = found[0]
    return rows


@pytest.mark.parametrize(
    ("wanted", "width", "stages"),
    [
        (spec("layer1"), 256, ("layer1",)),
        (spec("layer3", "layer2", pooling=("mean", "max")), 3072, ("layer2", "layer3")),
        (spec("layer2", "layer3", "avgpool", pooling=("mean", "max")), 5120,
         ("layer2", "layer3", "layer4")),
        (spec("layer1", "layer2", difference=True), 1536, ("layer1", "layer2")),
        # avgpool is a mean whatever the pooling, and layer4 is computed once.
        (spec("avgpool", "layer4", difference=True), 8192, ("layer4",)),
    ],
)  # fmt: skip
def test_spec_counts_features_and_names_the_stages_it_needs(
    wanted: FeatureSpec, width: int, stages: tuple[str, ...]
) -> None:
    assert wanted.width == width
    assert wanted.stages == stages


def test_packed_words_become_normalised_pixels() -> None:
    pixels = noise(3)
    pixels[0, :, 0, 0] = (0, 127, 255)
    corners = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 223, 223), (2, 223, 0), (1, 0, 223)]
    random = np.random.default_rng(1)
    spots = corners + [
        (int(c), int(y), int(x))
        for c, y, x in zip(
            random.integers(0, 3, 250),
            random.integers(0, 224, 250),
            random.integers(0, 224, 250),
            strict=True,
        )
    ]
    found = features(picking_trunk(spots), spec("layer1"), feed(pixels))
    # (0 - 0.485) / 0.229, (127 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225
    assert found[0, :3] == pytest.approx([-2.117904, 0.187675, 2.640000], abs=1e-5)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    channels, rows, columns = np.array(spots).T
    by_hand = (pixels[:, channels, rows, columns] / 255 - mean[channels]) / std[channels]
    assert found == pytest.approx(by_hand, abs=1e-5)


def test_grey_images_travel_in_one_channel_and_mean_the_same() -> None:
    grey = np.repeat(noise(3)[:, :1], 3, axis=1)
    wanted = spec("layer1", pooling=("max", "mean"), difference=True)
    alone = feed(grey[:2], grey[2:], [0, 0])
    coloured = feed(np.concatenate([grey[:2], noise(1)]), grey[2:], [0, 0, 0])
    assert 3 * alone[batches.REFERENCES].size == coloured[batches.REFERENCES].size
    trunk = averaging_trunk("layer1")
    found = features(trunk, wanted, alone)
    assert found == pytest.approx(features(trunk, wanted, coloured)[:2], abs=1e-5)
    x, r = expected_maps(grey[:2], "layer1"), expected_maps(grey[2:], "layer1")
    by_hand = np.maximum(x - around(r), 0).max((2, 3))
    assert found[:, :256] == pytest.approx(by_hand, abs=1e-4)


def test_pooling_of_one_image_is_mean_and_max_by_level() -> None:
    pixels = noise(2)
    trunk = averaging_trunk("layer1", "layer3")
    wanted = spec("layer3", "layer1", pooling=("mean", "max"))
    found = features(trunk, wanted, feed(pixels))
    deep, shallow = (expected_maps(pixels, level) for level in ("layer3", "layer1"))
    by_hand = np.concatenate(
        [deep.mean((2, 3)), deep.max((2, 3)), shallow.mean((2, 3)), shallow.max((2, 3))], axis=1
    )
    assert found == pytest.approx(by_hand, abs=1e-4)


def test_avgpool_is_the_mean_of_layer4() -> None:
    pixels = noise(2)
    found = features(averaging_trunk("layer4"), spec("avgpool"), feed(pixels))
    assert found == pytest.approx(expected_maps(pixels, "layer4").mean((2, 3)), abs=1e-4)


@pytest.mark.parametrize("level", ["layer1", "layer2", "layer3", "layer4"])
def test_difference_is_what_no_neighbour_explains_both_ways(level: str) -> None:
    pixels, references = noise(3, seed=1), noise(2, seed=2)
    index = [1, 0, 1]
    wanted = spec(level, pooling=("max", "mean"), difference=True)
    found = features(averaging_trunk(level), wanted, feed(pixels, references, index))
    x, r = expected_maps(pixels, level), expected_maps(references, level)[index]
    excess, lack = np.maximum(x - around(r), 0), np.maximum(r - around(x), 0)
    assert excess.max() > 0.01
    assert lack.max() > 0.01
    by_hand = [excess.max((2, 3)), lack.max((2, 3)), excess.mean((2, 3)), lack.mean((2, 3))]
    assert found == pytest.approx(np.concatenate(by_hand, axis=1), abs=1e-4)


def test_difference_of_avgpool_pools_layer4_by_its_mean() -> None:
    pixels, references = noise(1, seed=1), noise(1, seed=2)
    wanted = spec("avgpool", pooling=("max",), difference=True)
    found = features(averaging_trunk("layer4"), wanted, feed(pixels, references, [0]))
    x, r = expected_maps(pixels, "layer4"), expected_maps(references, "layer4")
    excess, lack = np.maximum(x - around(r), 0), np.maximum(r - around(x), 0)
    by_hand = np.concatenate([excess.mean((2, 3)), lack.mean((2, 3))], axis=1)
    assert found == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("int8", [False, True], ids=["fp32", "int8"])
def test_the_image_itself_stands_behind_the_difference(int8: bool) -> None:
    """As without a reference, which neither batch nor precision changes."""
    pixels, reference = noise(2, seed=1), noise(1, seed=2)
    levels = ("layer2", "layer3")

    def found(wanted: FeatureSpec, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        trunk = averaging_trunk("layer1", "layer2", "layer3")
        trunk = quantization.quantize(trunk, list(pixels)) if int8 else trunk
        return features(trunk, wanted, feeds)

    compared = spec("layer1", difference=True)
    both = found(replace(compared, image_levels=levels), feed(pixels, reference, [0, 0]))

    alone = found(spec(*levels, pooling=("mean", "max")), feed(pixels))
    assert both[:, -3072:].tobytes() == alone.tobytes()
    assert both[:, :512].tobytes() == found(compared, feed(pixels, reference, [0, 0])).tobytes()


def test_image_like_its_reference_has_no_difference() -> None:
    pixels = noise(2)
    wanted = spec("layer1", "layer2", pooling=("mean", "max"), difference=True)
    feeds = feed(pixels, pixels[::-1], [1, 0])
    found = features(averaging_trunk("layer1", "layer2"), wanted, feeds)
    assert found.max() == 0.0
    assert found.min() == 0.0


def test_shift_of_one_cell_is_no_difference_and_one_of_two_cells_is() -> None:
    stride = STRIDES["layer1"]
    reference = np.full((1, 3, 224, 224), 40, dtype=np.uint8)
    cell = slice(25 * stride, 26 * stride)
    reference[:, :, cell, cell] = 200
    wanted = spec("layer1", difference=True)
    trunk = averaging_trunk("layer1")

    def differs_after(shift: int) -> float:
        image = np.roll(reference, shift * stride, axis=3)
        return float(features(trunk, wanted, feed(image, reference, [0])).max())

    assert differs_after(1) == 0.0
    assert differs_after(2) > 0.1


def test_pairs_that_share_a_reference_equal_pairs_with_their_own() -> None:
    pixels, reference = noise(2, seed=1), noise(1, seed=2)
    levels = ("layer1", "layer2", "layer3", "avgpool")
    wanted = spec(*levels, pooling=("mean", "max"), difference=True)
    trunk = averaging_trunk("layer1", "layer2", "layer3", "layer4")
    shared = features(trunk, wanted, feed(pixels, reference, [0, 0]))
    twice = np.concatenate([reference, reference])
    own = features(trunk, wanted, feed(pixels, twice, [0, 1]))
    assert shared.tobytes() == own.tobytes()
    assert shared[0].tolist() != shared[1].tolist()


def test_image_gets_the_same_features_alone_and_in_a_batch() -> None:
    pixels, references = noise(4, seed=1), noise(2, seed=2)
    wanted = spec("layer1", "layer2", difference=True)
    trunk = averaging_trunk("layer1", "layer2")
    together = features(trunk, wanted, feed(pixels, references, [0, 1, 1, 0]))
    alone = features(trunk, wanted, feed(pixels[2:3], references[1:], [0]))
    assert together[2] == pytest.approx(alone[0], abs=1e-5)


def test_threads_are_asked_for_in_the_metadata_of_a_copy() -> None:
    graph = features_graph(averaging_trunk("layer1"), spec("layer1"))
    asked = with_threads(graph, 3)
    properties = {entry.key: entry.value for entry in asked.metadata_props}
    config = json.loads(properties["ort_config"])
    assert config["session_options"]["intra_op_num_threads"] == 3
    assert not graph.metadata_props
    assert asked.graph == graph.graph


def test_every_node_has_a_name_of_its_own() -> None:
    trunk = averaging_trunk("layer1", "layer2")
    wanted = spec("layer1", "layer2", pooling=("mean", "max"), difference=True)
    names = [node.name for node in features_graph(trunk, wanted).graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_widths_are_those_of_resnet50() -> None:
    assert WIDTHS == {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048, "avgpool": 2048}


def test_where_each_level_and_pooling_lies_in_the_vector() -> None:
    spec = FeatureSpec(
        levels=("layer1", "avgpool"), pooling=("mean", "max"), reading=Reading(difference=True)
    )

    assert column_slices(spec) == {
        ("layer1", "mean"): slice(0, 512),
        ("layer1", "max"): slice(512, 1024),
        ("avgpool", "mean"): slice(1024, 5120),
    }
    assert spec.width == 5120
    beside = replace(spec, levels=("layer1",), pooling=("max",), image_levels=("layer2",))
    assert column_slices(beside) == {
        ("layer1", "max"): slice(0, 512),
        ("image layer2", "mean"): slice(512, 1024),
        ("image layer2", "max"): slice(1024, 1536),
    }
    assert (beside.width, beside.image_width) == (1536, 1024)


def test_a_spec_is_stored_as_one_flat_record() -> None:
    spec = FeatureSpec(
        levels=("layer1",),
        pooling=("max",),
        reading=Reading(difference=True, max_offset=0.05, bit_depth=12),
    )
    record = {
        "levels": ("layer1",), "pooling": ("max",), "difference": True, "max_offset": 0.05,
        "alignment": "cut", "bit_depth": 12,
    }  # fmt: skip
    assert spec.record == record
    assert FeatureSpec.from_record({**record, "levels": ["layer1"], "pooling": ["max"]}) == spec
    own = replace(spec, reading=replace(spec.reading, references="own"))
    assert own.record == {**record, "references": "own"}
    assert FeatureSpec.from_record(own.record) == own
    beside = replace(spec, image_levels=("layer3",))
    assert beside.record == {**record, "image_levels": ("layer3",)}
    assert FeatureSpec.from_record(beside.record) == beside


def test_records_of_before_alignments_filled_images_up() -> None:
    old = {"levels": ["layer1"], "pooling": ["max"], "difference": True}
    assert FeatureSpec.from_record(old).reading == Reading(difference=True, alignment="fill")
