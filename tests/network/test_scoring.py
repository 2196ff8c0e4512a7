from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from pyspark.sql import functions as F

from pcb_spark.core import batches, bundle, names, policy, review
from pcb_spark.core.pairs import Reading
from pcb_spark.lake import schemas
from pcb_spark.network import graphs, inference, scoring, trees
from pcb_spark.network.inference import InferencePlan
from tests.rows import NO_IMAGE, images_table, noise
from tests.trunks import averaging_trunk

if TYPE_CHECKING:
    import onnx
    from pyspark.sql import DataFrame, Row, SparkSession

PLAN = InferencePlan(
    batch_size=4, partitions=2, threads=1, max_pixels=1_000_000, reading=Reading(difference=True)
)
SCORED = "image_id string, probability double, reason string, detail string"


def manifest(threshold: float, **segments: Any) -> bundle.Manifest:
    return bundle.Manifest(
        format=1,
        model_version="2026-02-27-0123456789ab",
        model_sha256="a" * 64,
        feature_set="f" * 64,
        feature_count=512,
        levels=["layer1"],
        pooling=["max"],
        difference=True,
        precision="fp32",
        precision_comparison={},
        trained_backbone=True,
        backbone={"source": "resnet50.onnx", "sha256": "b" * 64},
        threshold={"value": threshold, **segments},
        metrics={},
        training_window={},
        lineage={},
        versions={},
        created_at="2026-03-01T00:00:00+00:00",
        files={},
    )


NOBODY = review.Shares(control=0, audit=0)


def on_boards(df: DataFrame) -> DataFrame:
    """Each image on a board of its own, captured on 27 February."""
    day = F.lit("2026-02-27").cast("date")
    return df.withColumns({names.BOARD_ID: F.col(names.IMAGE_ID), names.CAPTURE_DATE: day})


def decide(df: DataFrame, threshold: float, shares: review.Shares = NOBODY) -> list[Row]:
    decided = scoring.decide(on_boards(df), manifest(threshold), shares)
    return decided.orderBy(names.IMAGE_ID).collect()


def test_a_date_may_have_thresholds_of_its_own(spark: SparkSession) -> None:
    rows = [("a", 0.2, "2026-02-27", "L1"), ("b", 0.2, "2026-02-28", "L1"),
            ("c", 0.2, "2026-02-28", "L2"), ("d", 0.2, "2026-02-28", None)]  # fmt: skip
    table = spark.createDataFrame(
        rows, "image_id string, probability double, day string, line string"
    )
    scored = table.select(
        "*", F.lit(None).cast("string").alias("reason"), F.col("image_id").alias("board_id"),
        F.to_date("day").alias("capture_date"),
    )  # fmt: skip
    capped = policy.SegmentThresholds(0.1, "line", {"L1": 0.15})
    decided = scoring.decide(
        scored, manifest(0.25), NOBODY, by_date={date(2026, 2, 28): capped}
    ).orderBy("image_id")
    found = [(row["threshold"], row["decision"]) for row in decided.collect()]
    assert found == [(0.25, "pass"), (0.15, "fail"), (0.1, "fail"), (0.1, "fail")]


@pytest.mark.parametrize(
    ("stopped", "decisions", "thresholds"),
    [
        ([], ["pass", "pass", "pass"], [0.25, 0.25, 0.25]),
        (["L1"], ["fail", "pass", "pass"], [0.0, 0.25, 0.25]),
        ([None], ["fail", "fail", "fail"], [0.0, 0.0, 0.0]),
        (["L2", None], ["fail", "fail", "fail"], [0.0, 0.0, 0.0]),
    ],
)
def test_nothing_is_cleared_of_a_line_that_is_stopped(
    stopped: list[str | None],
    decisions: list[str],
    thresholds: list[float],
    spark: SparkSession,
) -> None:
    rows = [("a", 0.0, None, None, "L1"), ("b", 0.1, None, None, "L2"), ("c", 0.1, *[None] * 3)]
    scored = on_boards(spark.createDataFrame(rows, f"{SCORED}, line string"))

    found = scoring.decide(scored, manifest(0.25), NOBODY, stopped).orderBy(names.IMAGE_ID)

    kept = found.select(names.DECISION, names.THRESHOLD, names.REVIEW).collect()
    assert [row.decision for row in kept] == decisions
    assert [row.threshold for row in kept] == thresholds
    assert [row.review is None for row in kept] == [each == "pass" for each in decisions]


def test_decisions_by_hand(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [
            ("a", 0.0, None, None),
            ("b", 0.2499, None, None),
            ("c", 0.25, None, None),
            ("d", 1.0, None, None),
            ("e", None, "reference_missing", "the drop names no usable reference"),
        ],
        SCORED,
    )
    found = decide(scored, 0.25)
    assert [(r.image_id, r.decision, r.status, r.reason, r.probability) for r in found] == [
        ("a", "pass", "ok", None, 0.0),
        ("b", "pass", "ok", None, 0.2499),
        ("c", "fail", "ok", None, 0.25),
        ("d", "fail", "ok", None, 1.0),
        ("e", "unscorable", "unscorable", "reference_missing", None),
    ]
    assert {row.threshold for row in found} == {0.25}
    assert [(row.review, row.review_probability) for row in found] == [
        (None, 0.0),
        (None, 0.0),
        ("decision", 1.0),
        ("decision", 1.0),
        ("unscorable", 1.0),
    ]
    columns = {(row.model_version, row.model_sha256, row.feature_set) for row in found}
    assert columns == {("2026-02-27-0123456789ab", "a" * 64, "f" * 64)}


def test_threshold_of_zero_clears_nothing(spark: SparkSession) -> None:
    scored = spark.createDataFrame([("a", 0.0, None, None), ("b", 0.5, None, None)], SCORED)
    found = decide(scored, 0.0, review.Shares(control=0, audit=1))
    assert [(row.decision, row.review) for row in found] == [("fail", "decision")] * 2


def test_spark_decides_odd_scores_as_policy_does(spark: SparkSession) -> None:
    """0.1 in float32 is 0.100000001490116: above 0.1 in float64, and yet no image passes by it."""
    narrow = 0.10000000149011612
    scores = [math.nan, -0.1, 1.1, -math.inf, math.inf, -0.0, 0.1, narrow, 0.0999999]
    rows = [(str(place), score, None, None) for place, score in enumerate(scores)]

    found = [row.decision for row in decide(spark.createDataFrame(rows, SCORED), narrow)]

    assert found == [*["unscorable"] * 5, "pass", "fail", "fail", "pass"]
    assert found == policy.decide(scores, narrow).tolist()


def test_a_line_with_a_threshold_of_its_own_uses_it(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [("a", "L1", 0.5), ("b", "L2", 0.5), ("c", None, 0.1), ("d", "L1", 0.6), ("e", "L1", None)],
        "image_id string, line string, probability double",
    ).withColumn(names.REASON, F.when(F.col(names.PROBABILITY).isNull(), "not_an_image"))
    own = manifest(0.2, segment_by="line", by_segment={"L1": {"value": 0.6}})

    decided = scoring.decide(on_boards(scored), own, NOBODY).orderBy(names.IMAGE_ID)

    assert [(row.threshold, row.decision) for row in decided.collect()] == [
        (0.6, "pass"),
        (0.2, "fail"),
        (0.2, "pass"),
        (0.6, "fail"),
        (0.6, "unscorable"),
    ]


@pytest.fixture(scope="module")
def many(spark: SparkSession) -> DataFrame:
    """20,000 images: the even ones score 0.1, the odd ones 0.9."""
    return spark.range(20_000).select(
        F.concat(F.lit("image-"), F.col("id")).alias(names.IMAGE_ID),
        F.when(F.col("id") % 2 == 0, 0.1).otherwise(0.9).alias(names.PROBABILITY),
        F.lit(None).cast("string").alias(names.REASON),
    )


def audited(df: DataFrame, *, share: float, seed: int = 1) -> set[str]:
    shares = review.Shares(control=0, audit=share, seed=seed)
    decided = scoring.decide(on_boards(df), manifest(0.5, audit_high_from=0.1), shares)
    drawn = decided.where(f"{names.REVIEW} LIKE 'audit%'").collect()
    assert {row.decision for row in drawn} <= {"pass"}
    return {row.image_id for row in drawn}


def test_audit_draws_cleared_images_only(many: DataFrame) -> None:
    drawn = audited(many, share=0.05)
    # All cleared scores are their highest: .275 of 10,000, give or take five deviations of 45.
    assert 2_520 < len(drawn) < 2_980
    assert audited(many.repartition(3), share=0.05) == drawn
    assert len(audited(many, share=0.05, seed=2) & drawn) < 950  # by chance 756
    assert drawn < audited(many, share=0.1)


def test_audit_of_none_and_of_all(many: DataFrame) -> None:
    some = many.limit(100)
    assert audited(some, share=0.0) == set()
    assert len(audited(some, share=1.0)) == 50


def test_days_that_the_model_was_trained_on_are_marked(spark: SparkSession) -> None:
    rows = [("before", "2026-01-04"), ("in it", "2026-01-05"), ("after", "2026-02-28")]
    scored = on_boards(spark.createDataFrame([(n, 0.1, None, None) for n, _ in rows], SCORED))
    dated = scored.join(
        spark.createDataFrame(rows, "image_id string, day string"), "image_id"
    ).withColumn(names.CAPTURE_DATE, F.col("day").cast("date"))
    about = manifest(0.5)
    window = {"from": "2026-01-05", "until": "2026-02-27"}

    found = scoring.decide(dated, replace(about, training_window=window), NOBODY).collect()
    unknown = scoring.decide(dated, about, NOBODY).collect()

    assert {row.image_id: row.in_training_window for row in found} == {
        "before": False, "in it": True, "after": False,
    }  # fmt: skip
    assert {row.in_training_window for row in unknown} == {None}


@pytest.fixture(scope="module")
def features_graph() -> onnx.ModelProto:
    spec = graphs.FeatureSpec(
        levels=("layer1",), pooling=("max",), reading=Reading(difference=True)
    )
    return graphs.features_graph(averaging_trunk("layer1"), spec)


@pytest.fixture(scope="module")
def converted_trees() -> onnx.ModelProto:
    """A hundred trees over 512 features that like dark images."""
    rows = np.random.default_rng(0).random((300, 512), dtype=np.float32) * 3
    parameters = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 2, "num_threads": 1}
    data = lightgbm.Dataset(rows, rows[:, :40].sum(1) > 60, params={"verbosity": -1})
    booster = lightgbm.train(parameters, data, num_boost_round=100)
    return trees.convert(booster.model_to_string(), 512)


def serialized(graph: onnx.ModelProto) -> bytes:
    content: bytes = graphs.with_threads(graph, 1).SerializeToString()
    return content


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Ten pairs of two references, then two images that can't be scored."""
    references = [noise(seed) for seed in (100, 101)]
    pairs: list[tuple[bytes, bytes | None]] = [
        (noise(seed, darker=1 + seed % 4), references[seed % 2]) for seed in range(10)
    ]
    return images_table(spark, [*pairs, (NO_IMAGE, references[0]), (noise(1), None)])


@pytest.mark.slow
def test_trees_over_kept_features_give_bit_for_bit_what_the_fused_graph_gives(
    table: DataFrame, features_graph: onnx.ModelProto, converted_trees: onnx.ModelProto
) -> None:
    fused = graphs.scoring_graph(features_graph, converted_trees)
    by_pixels = scoring.score(table, serialized(fused), PLAN)
    rows = by_pixels.orderBy(names.IMAGE_ID).collect()
    found = {row.image_id: row.probability for row in rows}
    assert len(set(found.values())) > 5
    alone = serialized(graphs.classifier_graph(converted_trees, 512))
    kept = kept_features(table, features_graph)
    for engine in (names.SYNAPSEML, names.ONNXRUNTIME):
        by_trees = scoring.score_features(kept, alone, engine=engine)
        assert by_trees.columns == by_pixels.columns
        assert {row.image_id: row.probability for row in by_trees.collect()} == {
            name: probability for name, probability in found.items() if probability is not None
        }
    assert sorted(by_pixels.columns) == sorted(
        [
            *schemas.TRACEABILITY,
            "capture_date",
            "reference_sha256",
            "probability",
            "reason",
            "detail",
        ]
    )
    assert [(row.image_id, row.reason) for row in rows if row.probability is None] == [
        ("i010", "not_an_image"),
        ("i011", "reference_missing"),
    ]


def kept_features(table: DataFrame, graph: onnx.ModelProto) -> DataFrame:
    """Traceability and features of the images that have some."""
    columns = [
        *schemas.TRACEABILITY,
        names.CAPTURE_DATE,
        names.IMAGE,
        names.REFERENCE,
        names.REFERENCE_SHA256,
    ]
    made = inference.run_images(table.select(columns), serialized(graph), batches.FEATURES, PLAN)
    return made.where("reason is null")
