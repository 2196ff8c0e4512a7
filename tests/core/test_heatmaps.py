from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from pcb_spark.core import batches, bundle, heatmaps
from pcb_spark.core.errors import BundleError
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs, pooled
from tests import models
from tests.trunks import feed, run_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.core.bundle import Bundle

    Pixels = NDArray[np.uint8]

SPECS = [
    graphs.FeatureSpec(
        levels=("layer1", "layer2"), pooling=("max",), reading=Reading(difference=True)
    ),
    graphs.FeatureSpec(
        levels=("layer2", "avgpool"), pooling=("mean", "max"), reading=Reading(difference=True)
    ),
    graphs.FeatureSpec(
        levels=("layer2", "avgpool"), pooling=("mean", "max"), reading=Reading(difference=False)
    ),
    graphs.FeatureSpec(
        levels=("layer1",), pooling=("max",), reading=Reading(difference=True),
        image_levels=("layer1", "layer2"),
    ),
]  # fmt: skip
KINDS = ["pairs, max", "pairs, both", "single, both", "pairs and single"]


def board(seed: int) -> Pixels:
    """A dark board with a little noise."""
    return np.random.default_rng(seed).integers(30, 50, (3, 224, 224), dtype=np.uint8)


def spotted(seed: int, row: int, column: int) -> Pixels:
    """The same board with a bright square of 32 px."""
    pixels = board(seed)
    pixels[:, row : row + 32, column : column + 32] = 250
    return pixels


def spot_model(spec: graphs.FeatureSpec, *, int8: bool = False) -> Bundle:
    """A model that has learnt that bright squares are defects."""
    places = np.random.default_rng(3).integers(0, 192, (20, 2)).tolist()
    pixels = [board(n) for n in range(20)] + [spotted(n, *at) for n, at in enumerate(places)]
    golden = np.stack([board(100)]) if spec.difference else None
    inputs = feed(np.stack(pixels), golden, [0] * 40)
    calibration = pixels[::8] if int8 else []
    rows = run_graph(models.features_graph(spec, calibration), batches.FEATURES, inputs)[0]
    is_fail, start = np.arange(40) >= 20, spec.width - spec.image_width
    own = models.train(rows[:, start:], is_fail) if spec.image_levels else ""
    compared = models.train(rows[:, :start], is_fail)
    return models.in_memory(spec, compared, calibration, image=own)


@pytest.mark.parametrize("spec", SPECS, ids=KINDS)
@pytest.mark.parametrize(("row", "column"), [(0, 0), (64, 160), (150, 40)])
def test_hottest_pixel_lies_on_the_defect(spec: graphs.FeatureSpec, row: int, column: int) -> None:
    heat = pooled.mapper(spot_model(spec)).heat(spotted(7, row, column), board(100))
    assert heat.shape == (224, 224)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    place = heatmaps.hottest(heat)
    assert place is not None
    assert row <= place[0] < row + 32
    assert column <= place[1] < column + 32


@pytest.mark.parametrize("spec", SPECS, ids=KINDS)
def test_an_int8_backbone_shows_the_same_place(spec: graphs.FeatureSpec) -> None:
    place = heatmaps.hottest(
        pooled.mapper(spot_model(spec, int8=True)).heat(spotted(7, 64, 160), board(100))
    )
    assert place is not None
    assert 64 <= place[0] < 96
    assert 160 <= place[1] < 192


def test_good_image_is_colder_than_a_defect() -> None:
    mapper = pooled.mapper(spot_model(SPECS[0]))
    defect, good = mapper.heat(spotted(7, 96, 96), board(100)), mapper.heat(board(7), board(100))
    assert good.sum() < 0.1 * defect.sum()


def test_image_that_equals_its_reference_has_no_heat() -> None:
    heat = pooled.mapper(spot_model(SPECS[0])).heat(board(7), board(7))
    assert heatmaps.hottest(heat) is None


def test_model_that_compares_needs_a_reference() -> None:
    with pytest.raises(BundleError, match="can't explain an image without one"):
        pooled.mapper(spot_model(SPECS[0])).heat(board(7))


def test_the_blur_is_that_of_a_normal_curve() -> None:
    heat = np.random.default_rng(2).random((224, 224)).astype(np.float32)
    smoothing = heatmaps.smoothing()
    expected = ndimage.gaussian_filter(heat, 8.0, mode="constant")
    assert smoothing @ heat @ smoothing.T == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=KINDS)
def test_an_edge_bundle_shows_the_same_without_the_features_graph(
    spec: graphs.FeatureSpec,
) -> None:
    model, pair = spot_model(spec), (spotted(7, 64, 160), board(100))
    told = heatmaps.to_json(pooled.of_bundle(model))
    brought = (bundle.GRAPH, *bundle.FITTED)
    parts = {name: model.parts[name] for name in brought if name in model.parts}
    there = bundle.Bundle(manifest=model.manifest, parts={**parts, heatmaps.HEAT: told})
    mapper = heatmaps.of_edge(there)
    assert mapper is not None
    assert np.array_equal(mapper.heat(*pair), pooled.mapper(model).heat(*pair))


def test_an_edge_bundle_of_an_earlier_version_has_no_heat_maps() -> None:
    assert heatmaps.of_edge(spot_model(SPECS[0])) is None


@pytest.mark.parametrize("told", [b"", b"3", b"[[1]]", b'{"a": 1}'])
def test_what_cannot_be_read_is_refused(told: bytes) -> None:
    model = spot_model(SPECS[0])
    broken = bundle.Bundle(manifest=model.manifest, parts={**model.parts, heatmaps.HEAT: told})
    with pytest.raises(BundleError, match=r"heat\.json can't be read"):
        heatmaps.of_edge(broken)


def test_each_maximum_goes_to_its_cell_and_each_mean_to_all() -> None:
    cells = np.zeros((2, 2, 2), dtype=np.float32)
    cells[0] = [[1, 3], [0, 0]]
    cells[1] = [[0, 0], [5, 0]]
    weights = np.array([2.0, 4.0])
    assert heatmaps._by_cell(cells, weights, "ReduceMax").tolist() == [[0, 2], [4, 0]]
    assert heatmaps._by_cell(cells, weights, "ReduceMean").tolist() == [[0.5, 1.5], [4, 0]]


def test_maximum_of_nothing_has_no_place() -> None:
    cells = np.full((1, 2, 2), -1.0, dtype=np.float32)
    assert not heatmaps._by_cell(cells, np.array([3.0]), "ReduceMax").any()
    assert not heatmaps._by_cell(cells, np.array([3.0]), "ReduceMean").any()


def test_overlay_colours_the_hot_place_and_leaves_the_rest() -> None:
    pixels = board(1)
    heat = np.zeros((224, 224), dtype=np.float32)
    heat[100:120, 50:70] = 2.0
    shown = np.asarray(heatmaps.overlay(pixels, heat))
    assert shown.shape == (224, 224, 3)
    assert shown[110, 60, 0] > 180
    assert np.array_equal(shown[10, 10], pixels[:, 10, 10])


def test_overlay_of_a_weak_map_is_paler_on_a_common_scale() -> None:
    heat = np.zeros((224, 224), dtype=np.float32)
    heat[100, 100] = 1.0
    alone = np.asarray(heatmaps.overlay(board(1), heat)).astype(int)
    common = np.asarray(heatmaps.overlay(board(1), heat, full=8.0)).astype(int)
    assert alone[100, 100].sum() > common[100, 100].sum()
