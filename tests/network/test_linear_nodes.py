from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import batches
from pcb_spark.core.linear import mean, probability
from pcb_spark.network import graphs, trees
from pcb_spark.network.classifier_nodes import ImageClassifier
from tests import models
from tests.trunks import run_graph

WIDTH = 300


def features(n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.random.default_rng(4).normal(size=(n, WIDTH)).astype(np.float32) * 3
    return np.maximum(rows, 0)


def test_graph_mixes_trees_and_line() -> None:
    rows, beside = features(200), models.linear(WIDTH)
    text = models.train(rows, rows[:, 0] + rows[:, 1] > 3)
    graph = graphs.classifier_graph(trees.convert(text, WIDTH), WIDTH, beside)

    found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: rows[None]})[0]

    import lightgbm

    odds = np.asarray(lightgbm.Booster(model_str=text).predict(rows, raw_score=True))
    assert found == pytest.approx(probability(mean(odds, beside.log_odds(rows))), abs=2e-6)
    assert found.min() < 0.2 < 0.8 < found.max()


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "trees alone"])
def test_graph_judges_the_last_features_apart(lines: bool) -> None:
    import lightgbm

    rows = features(200)
    compared, own = rows[:, :-40], rows[:, -40:]
    texts = [models.train(compared, rows[:, 0] > 1), models.train(own, rows[:, -1] > 1)]
    beside = [models.linear(WIDTH - 40) if lines else None, models.linear(40) if lines else None]
    image = ImageClassifier(trees.convert(texts[1], 40), beside[1], 40)
    converted = trees.convert(texts[0], WIDTH - 40)
    graph = graphs.classifier_graph(converted, WIDTH, beside[0], image)

    found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: rows[None]})[0]

    odds = []
    for values, text, line in zip((compared, own), texts, beside, strict=True):
        of_trees = np.asarray(lightgbm.Booster(model_str=text).predict(values, raw_score=True))
        odds.append(of_trees if line is None else (of_trees + line.log_odds(values)) / 2)
    by_hand = 1 / (1 + np.exp(-(0.75 * odds[0] + 0.25 * odds[1])))
    assert found == pytest.approx(by_hand, abs=2e-6)
    assert found.min() < 0.3 < 0.7 < found.max()


def test_an_image_scores_the_same_in_every_batch() -> None:
    rows = features(64)
    text = models.train(rows, rows[:, 0] > 1)
    # As it is served; the trees' leaves are added in another order by several threads.
    classifier = graphs.classifier_graph(trees.convert(text, WIDTH), WIDTH, models.linear(WIDTH))
    graph = graphs.with_threads(classifier, 1)

    def scores(batch: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> list[float]:
        found = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: batch[None]})
        return [float(score) for score in found[0]]

    whole = scores(rows)
    assert [score for row in rows for score in scores(row[None])] == whole
    assert [s for start in range(0, 64, 7) for s in scores(rows[start : start + 7])] == whole
