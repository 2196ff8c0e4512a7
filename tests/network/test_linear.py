from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import batches
from pcb_spark.core.errors import BundleError
from pcb_spark.network import graphs, trees
from pcb_spark.network.linear import Linear, mixed
from tests import models
from tests.trunks import run_graph

WIDTH = 300


def linear(width: int = WIDTH) -> Linear:
    rng = np.random.default_rng(3)
    return Linear(
        weights=rng.normal(scale=0.1, size=width).astype(np.float32),
        bias=-0.75,
        center=rng.random(width).astype(np.float32),
        most=rng.uniform(1, 2, width).astype(np.float32),
    )


def features(n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.random.default_rng(4).normal(size=(n, WIDTH)).astype(np.float32) * 3
    return np.maximum(rows, 0)


def test_log_odds_by_hand() -> None:
    """2 sqrt(2.25) - sqrt(0) + .5; a negative feature counts as 0."""
    found = Linear(
        weights=np.array([2, -1], dtype=np.float32),
        bias=0.5,
        center=np.array([1, 0], dtype=np.float32),
        most=np.array([2, 2], dtype=np.float32),
    )

    rows = np.array([[2.25, -7], [1e6, 0]], dtype=np.float32)

    # A million was never seen: it counts as the most that was.
    assert found.log_odds(rows) == pytest.approx([3.5, 4.5])
    assert found.contributions(rows)[0] == pytest.approx([2 * 0.5, 0])


def test_probability_is_that_of_the_mean_of_both_log_odds() -> None:
    assert mixed(np.array([2.0, -4.0]), np.array([0.0, 4.0])) == pytest.approx(
        [1 / (1 + np.exp(-1)), 0.5]
    )


def test_graph_mixes_trees_and_line() -> None:
    rows, beside = features(200), linear()
    text = models.train(rows, rows[:, 0] + rows[:, 1] > 3)
    graph = graphs.classifier_graph(trees.convert(text, WIDTH), WIDTH, beside)

    found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: rows[None]})[0]

    import lightgbm

    odds = np.asarray(lightgbm.Booster(model_str=text).predict(rows, raw_score=True))
    assert found == pytest.approx(mixed(odds, beside.log_odds(rows)), abs=2e-6)
    assert found.min() < 0.2 < 0.8 < found.max()


def test_an_image_scores_the_same_in_every_batch() -> None:
    rows = features(64)
    text = models.train(rows, rows[:, 0] > 1)
    # As it is served; the trees' leaves are added in another order by several threads.
    classifier = graphs.classifier_graph(trees.convert(text, WIDTH), WIDTH, linear())
    graph = graphs.with_threads(classifier, 1)

    def scores(batch: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> list[float]:
        found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: batch[None]})
        return [float(score) for score in found[0]]

    whole = scores(rows)
    assert [score for row in rows for score in scores(row[None])] == whole
    assert [s for start in range(0, 64, 7) for s in scores(rows[start : start + 7])] == whole


def test_text_holds_every_bit() -> None:
    before = linear()

    after = Linear.from_json(before.to_json())

    assert after.weights.tobytes() == before.weights.tobytes()
    assert after.center.tobytes() == before.center.tobytes()
    assert after.most.tobytes() == before.most.tobytes()
    assert after.bias == before.bias


@pytest.mark.parametrize("text", ["", "[]", '{"weights": [1]}', '{"weights": ["a"], "bias": 1}'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"linear\.json can't be read"):
        Linear.from_json(text)
