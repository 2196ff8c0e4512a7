from __future__ import annotations

from typing import TYPE_CHECKING

import lightgbm
import numpy as np
import pytest

from pcb_spark.core import batches, images
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs, trees
from tests.trunks import averaging_trunk, feed, run_graph

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]
    Feed = dict[str, NDArray[np.int64]]

PARAMETERS = {"objective": "binary", "verbosity": -1, "seed": 1, "num_threads": 1}


def train(rows: Rows, label: NDArray[np.bool_], **parameters: float) -> lightgbm.Booster:
    data = lightgbm.Dataset(rows, label, params={"verbosity": -1})
    return lightgbm.train({**PARAMETERS, **parameters}, data, num_boost_round=30)


def probability(booster: lightgbm.Booster, rows: Rows) -> NDArray[np.float64]:
    """Probability of fail by the graph of the trees alone."""
    width = rows.shape[1]
    graph = graphs.classifier_graph(trees.convert(booster.model_to_string(), width), width)
    found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: rows[None]})
    assert found.shape == (1, len(rows))
    assert found.dtype == np.float32
    answer: NDArray[np.float64] = found[0].astype(np.float64)
    return answer


def random_rows(count: int, width: int) -> Rows:
    rows = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    return np.maximum(rows, 0)  # as behind a Relu: half of the numbers are exactly 0


def test_converted_trees_give_lightgbms_probability() -> None:
    rows = random_rows(2000, 20)
    booster = train(rows, rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.6)
    expected = np.asarray(booster.predict(rows))
    assert expected.min() < 0.1
    assert expected.max() > 0.9
    assert probability(booster, rows) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 0.3, 1.7, 1000.3])
def test_values_that_are_neighbours_in_float32_stay_apart(value: float) -> None:
    lower = np.float32(value)
    upper = np.nextafter(lower, np.float32(np.inf))
    rows = np.repeat([lower, upper], 50)[:, None]
    booster = train(rows, rows[:, 0] == upper, min_data_in_leaf=1)
    found = probability(booster, rows)
    assert found == pytest.approx(booster.predict(rows), abs=1e-6)
    assert found[-1] - found[0] > 0.5


def test_the_features_whose_splits_gained_most_are_marked() -> None:
    rows = random_rows(2000, 20)
    text = train(rows, rows[:, 4] + rows[:, 17] / 2 > 0.9).model_to_string()

    assert np.flatnonzero(trees.most_important(text, 1)).tolist() == [4]
    assert np.flatnonzero(trees.most_important(text, 2)).tolist() == [4, 17]
    assert trees.most_important(text, 50).shape == (20,)


def test_a_feature_that_no_tree_splits_on_is_never_marked() -> None:
    rows = random_rows(40, 3)
    text = train(rows, np.arange(40) % 4 == 0, min_data_in_leaf=30).model_to_string()

    assert not trees.most_important(text, 2).any()


def test_trees_that_found_no_split_give_the_base_rate() -> None:
    rows = random_rows(40, 3)
    label = np.arange(40) % 4 == 0
    booster = train(rows, label, min_data_in_leaf=30)
    assert probability(booster, rows) == pytest.approx(np.full(40, 0.25), abs=1e-6)


@pytest.fixture(scope="module")
def batch() -> Feed:
    """Twelve images with three references."""
    size = (15, 3, images.SIDE, images.SIDE)
    pixels = np.random.default_rng(3).integers(0, 256, size, dtype=np.uint8)
    # Images of different brightness, so that there is something to learn.
    pixels[:12] //= np.arange(1, 13, dtype=np.uint8)[:, None, None, None]
    return feed(pixels[:12], pixels[12:], [number % 3 for number in range(12)])


@pytest.fixture(scope="module")
def features_graph() -> onnx.ModelProto:
    spec = graphs.FeatureSpec(
        levels=("layer1", "layer2"), pooling=("max",), reading=Reading(difference=True)
    )
    return graphs.features_graph(averaging_trunk("layer1", "layer2"), spec)


@pytest.fixture(scope="module")
def booster(features_graph: onnx.ModelProto, batch: Feed) -> lightgbm.Booster:
    rows = run_graph(features_graph, batches.FEATURES, batch)[0]
    label = np.arange(12) % 12 >= 5
    return train(rows, label, min_data_in_leaf=1, feature_fraction=0.1)


def test_fused_graph_gives_what_the_two_steps_give(
    features_graph: onnx.ModelProto, booster: lightgbm.Booster, batch: Feed
) -> None:
    converted = trees.convert(booster.model_to_string(), 1536)
    fused = graphs.scoring_graph(features_graph, converted)
    assert [output.name for output in fused.graph.output] == [batches.PROBABILITY]
    found = run_graph(fused, batches.PROBABILITY, batch)
    rows = run_graph(features_graph, batches.FEATURES, batch)
    expected = np.asarray(booster.predict(rows[0]))
    assert expected.max() - expected.min() > 0.5
    assert found.shape == (1, 12)
    assert found[0] == pytest.approx(expected, abs=1e-6)
    alone = graphs.classifier_graph(converted, 1536)
    by_trees = run_graph(alone, batches.PROBABILITY, {batches.FEATURES: rows})
    assert by_trees.tobytes() == found.tobytes()


def test_same_parts_give_the_same_bytes(
    features_graph: onnx.ModelProto, booster: lightgbm.Booster
) -> None:
    text = booster.model_to_string()
    first, second = (
        graphs.scoring_graph(features_graph, trees.convert(text, 1536)) for _ in range(2)
    )
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


def test_fusing_leaves_its_parts_as_they_were(
    features_graph: onnx.ModelProto, booster: lightgbm.Booster
) -> None:
    before = features_graph.SerializeToString(deterministic=True)
    graphs.scoring_graph(features_graph, trees.convert(booster.model_to_string(), 1536))
    assert features_graph.SerializeToString(deterministic=True) == before
