from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from pcb_spark.core import bundle, names, review
from pcb_spark.core.linear import Linear
from pcb_spark.core.pairs import Reading
from pcb_spark.core.scorer import Score, Scorer
from pcb_spark.network import graphs, scoring
from pcb_spark.network.graphs import FeatureSpec
from pcb_spark.network.inference import InferencePlan
from tests.models import in_memory, train
from tests.rows import NO_IMAGE, images_table, noise, rendered_pairs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COMPARING = FeatureSpec(
    levels=("layer1",), pooling=("max",), reading=Reading(difference=True, max_offset=0.08)
)
BOTH = replace(COMPARING, image_levels=("layer1", "layer2"))
ALONE = FeatureSpec(levels=("layer2",), pooling=("mean",), reading=Reading(difference=False))


def model(spec: FeatureSpec, *, threshold: float = 0.5) -> bundle.Bundle:
    rng = np.random.default_rng(5)
    width = spec.width - spec.image_width
    rows = rng.normal(scale=0.3, size=(80, width)).astype(np.float32)
    text = train(rows, rng.random(80) < 0.5)
    beside = Linear(
        weights=rng.normal(scale=0.05, size=width).astype(np.float32),
        bias=-0.5,
        center=np.zeros(width, dtype=np.float32),
        most=np.full(width, 0.5, dtype=np.float32),
    )
    own = rng.normal(scale=0.3, size=(80, spec.image_width)).astype(np.float32)
    return in_memory(
        spec,
        text,
        linear=beside,
        image=train(own, rng.random(80) < 0.5) if spec.image_levels else "",
        threshold={"value": threshold},
        max_offset=spec.reading.max_offset,
    )


@pytest.mark.parametrize("spec", [COMPARING, BOTH, ALONE], ids=["pairs", "both", "alone"])
def test_scores_and_decisions_equal_those_of_spark_bit_for_bit(
    spark: SparkSession, spec: FeatureSpec
) -> None:
    """Pairs that share a reference travel in one batch in Spark, and one by one here."""
    rendered = rendered_pairs(12)
    pairs: list[tuple[bytes, bytes | None]] = [
        *rendered,
        *((image, rendered[0][1]) for image, _ in rendered[:5]),
    ]
    pairs += [(NO_IMAGE, rendered[0][1]), (rendered[1][0], NO_IMAGE), (rendered[2][0], None)]
    told = [Scorer(model(spec)).score(*pair).probability or 0.0 for pair in rendered]
    chosen = model(spec, threshold=float(np.median(told)))
    plan = InferencePlan(
        batch_size=8, partitions=2, threads=1, max_pixels=1_000_000, reading=spec.reading
    )
    fused = onnx.load_from_string(chosen.parts[bundle.GRAPH])
    graph = graphs.with_threads(fused, 1).SerializeToString()
    scored = scoring.score(images_table(spark, pairs), graph, plan)
    decided = scoring.decide(scored, chosen.manifest, review.Shares(control=0, audit=0))
    expected = [
        Score(
            probability=row[names.PROBABILITY],
            threshold=row[names.THRESHOLD],
            decision=row[names.DECISION],
            reason=row[names.REASON],
            detail=row[names.DETAIL],
        )
        for row in decided.orderBy(names.IMAGE_ID).collect()
    ]

    scorer = Scorer(chosen)
    found = [scorer.score(image, reference) for image, reference in pairs]

    assert found == expected
    assert {score.decision for score in found} == {"pass", "fail", "unscorable"}


def test_a_line_with_a_threshold_of_its_own_uses_it() -> None:
    chosen = model(ALONE)
    probability = Scorer(chosen).score(noise(1)).probability
    assert probability is not None
    evidence = {
        "value": 0.0, "segment_by": "line", "by_segment": {"L1": {"value": probability + 0.01}},
    }  # fmt: skip
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(80, ALONE.width)).astype(np.float32)
    scorer = Scorer(in_memory(ALONE, train(rows, rng.random(80) < 0.5), threshold=evidence))

    assert scorer.score(noise(1), traceability={"line": "L1"}).decision == "pass"
    assert scorer.score(noise(1), traceability={"line": "L2"}).decision == "fail"
    assert scorer.score(noise(1)).decision == "fail"


def test_threads_are_those_that_are_asked_for_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is set for Spark would have every session start as many as the machine has cores."""
    chosen = model(ALONE)
    started = []
    for switch in ("0", "1"):
        monkeypatch.setenv("ORT_LOAD_CONFIG_FROM_MODEL", switch)
        before = len(list(Path("/proc/self/task").iterdir()))
        scorer = Scorer(chosen, threads=7)
        started.append(len(list(Path("/proc/self/task").iterdir())) - before)
        assert scorer.score(noise(1)).probability == Scorer(chosen).score(noise(1)).probability
        del scorer
    assert started == [6, 6]


def test_what_cannot_be_scored_says_why() -> None:
    found = Scorer(model(COMPARING), max_pixels=100).score(noise(1), noise(2))
    assert found.probability is None
    assert found.decision == "unscorable"
    assert found.reason == "too_many_pixels"
    assert found.detail
