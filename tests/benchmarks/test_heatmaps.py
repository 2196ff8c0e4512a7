from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.heatmaps import trials
from pcb_spark.core import batches, images
from pcb_spark.core.pairs import Reading
from pcb_spark.demo.camera import jpeg
from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.render import render_pair
from pcb_spark.network import graphs, pooled
from tests import models
from tests.trunks import feed, run_graph

if TYPE_CHECKING:
    from pcb_spark.core.bundle import Bundle

SPEC = graphs.FeatureSpec(
    levels=("layer1", "layer2"), pooling=("max",), reading=Reading(difference=True)
)


def rendered_model(count: int) -> Bundle:
    """Trees on averages of rendered components, every other one with a defect."""
    rng = np.random.default_rng(1)
    kinds = [(part, defect) for part in sorted(PARTS) for defect in PARTS[part].defects]
    pairs = []
    for number in range(count):
        part, defect = kinds[number // 2 % len(kinds)]
        pair = render_pair(rng, part=part, defect=defect if number % 2 else None, severity=0.7)
        pairs.append([images.decode(jpeg(each, 90)) for each in (pair.image, pair.reference)])
    graph = models.features_graph(SPEC)
    rows = []
    for ten in np.array(pairs).reshape(-1, 10, 2, 3, 224, 224):
        inputs = feed(ten[:, 0], ten[:, 1], range(10))
        rows.append(run_graph(graph, batches.FEATURES, inputs)[0])
    return models.in_memory(SPEC, models.train(np.concatenate(rows), np.arange(count) % 2 == 1))


@pytest.mark.slow
def test_rendered_defects_are_found_by_their_heat() -> None:
    found = list(trials(pooled.mapper(rendered_model(120)), count=40, seed=5))
    assert sum(trial.chance for trial in found) / 40 < 0.3
    assert sum(trial.hit for trial in found) / 40 >= 0.8
