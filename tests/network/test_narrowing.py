from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from pcb_spark.core.batches import FEATURES
from pcb_spark.core.pairs import Reading
from pcb_spark.network import backbone, features, graphs
from tests.trunks import feed, run_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPARED = graphs.FeatureSpec(
    levels=("layer1",), pooling=("max",), reading=Reading(difference=True)
)
BOTH = graphs.FeatureSpec(
    levels=("layer1",), pooling=("max",), reading=Reading(difference=True),
    image_levels=("layer2",),
)  # fmt: skip


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> backbone.Backbone:
    return backbone.load(backbone.UNTRAINED, cache_dir=Path(tmp_path_factory.mktemp("cache")))


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, 3, 224, 224), dtype=np.uint8)


def rows_behind(graph: onnx.ModelProto, tensor: str, pixels: NDArray[np.uint8]) -> int:
    """How many images a tensor holds where three images share a reference."""
    shown = onnx.ModelProto()
    shown.CopyFrom(graph)
    shown.graph.output.append(onnx.ValueInfoProto(name=tensor))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(shown.SerializeToString(), options)
    (found,) = session.run([tensor], feed(pixels[:3], pixels[3:], [0, 0, 0]))
    return len(found)


@pytest.mark.parametrize("int8", [False, True], ids=["fp32", "int8"])
def test_references_go_no_deeper_than_they_are_compared(
    untrained: backbone.Backbone, int8: bool
) -> None:
    pixels = noise(4)
    calibration = list(pixels) if int8 else []
    feeds = feed(pixels[:3], pixels[3:], [0, 0, 0])

    both = features.build(untrained, BOTH, calibration=calibration).graph
    found = run_graph(both, FEATURES, feeds)[0]

    assert rows_behind(both, "layer1_around", pixels) == 4
    assert rows_behind(both, "layer1_seen_alone", pixels) == 3
    compared = features.build(untrained, COMPARED, calibration=calibration).graph
    assert found[:, :512].tobytes() == run_graph(compared, FEATURES, feeds)[0].tobytes()
    assert found[:, 512:].max() > 0
