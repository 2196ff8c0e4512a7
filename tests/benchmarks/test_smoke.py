from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import lightgbm
import numpy as np
import pytest

from benchmarks import compare, data, fits, packing, peers, rows, stages, ways
from benchmarks.models import Model
from pcb_spark.core import bundle, names
from pcb_spark.core.pairs import Reading
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import BUNDLE
from pcb_spark.network import graphs, trees
from tests.models import MANIFEST
from tests.rows import images_table, noise
from tests.trunks import averaging_trunk

if TYPE_CHECKING:
    import onnx
    from pyspark.sql import DataFrame, SparkSession

SPEC = graphs.FeatureSpec(levels=("layer1",), pooling=("max",), reading=Reading(difference=True))


def tiny_graph() -> onnx.ModelProto:
    features = graphs.features_graph(averaging_trunk("layer1"), SPEC)
    matrix = np.random.default_rng(0).random((100, SPEC.width), dtype=np.float32)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    labels = matrix[:, 0] > 0.5
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, labels), num_boost_round=3)
    return graphs.scoring_graph(features, trees.convert(booster.model_to_string(), SPEC.width))


def small_tables(spark: SparkSession, folder: Path) -> ways.Tables:
    table = images_table(spark, [(noise(1), noise(3)), (noise(2), noise(3))])
    folders = {n: data.write(data.resized(table, n), folder / str(n)) for n in (2, 6)}
    source = data.Source(drop=None, weights="untrained")
    return ways.Tables(spark=spark, source=source, folders=folders, scratch=folder / "scratch")


@pytest.mark.slow
def test_limit_and_a_way_on_spark_are_measured(spark: SparkSession, tmp_path: Path) -> None:
    sizes = small_tables(spark, tmp_path)
    model = Model(
        name="tiny",
        precision="fp32",
        folder=tmp_path,
        reading=Reading(difference=True, max_offset=0.08),
        graph=tiny_graph(),
    )
    samples = [packing.Sample(noise(seed), noise(3)) for seed in range(8)]
    compared = [
        ways.limit(model, sizes, samples),
        peers.map_in_arrow(model, sizes),
    ]
    found = compare.compare(compared, 1)
    found += stages.measure(sizes, {("tiny", "fp32"): model}, samples, repeats=1)
    shape = {"feature_count": 1, "levels": ["layer1"], "pooling": ["max"], "difference": True}
    parts = {bundle.GRAPH: b"g", bundle.FEATURES: b"f", bundle.CLASSIFIER: b"c"}
    bundle.write(tmp_path / BUNDLE, MANIFEST | shape, parts)
    found.append(stages.write(sizes, model))
    assert [(row.way, row.n) for row in found[:2]] == [("onnxruntime alone", 4), ("mapInArrow", 4)]
    assert {row.stage for row in found} >= {
        rows.SCORE,
        "decode",
        "pack",
        "create a session",
        "decide, write",
    }
    written = spark.read.parquet(str(sizes.scratch / "map_in_arrow"))
    assert written.where("probability between 0 and 1").count() == 6


def test_a_larger_table_repeats_images_under_new_ids_with_references_of_their_own(
    spark: SparkSession,
) -> None:
    table = images_table(spark, [(noise(1), noise(3)), (noise(2), noise(3))])
    many = data.resized(table, 5)
    assert many.columns == table.columns
    assert distinct(many, names.IMAGE_ID) == 5
    assert distinct(many, names.IMAGE) == 2
    assert distinct(many, names.REFERENCE_SHA256) == 3
    assert distinct(data.unshared(many), names.REFERENCE_SHA256) == 5
    assert distinct(data.one_reference(many), names.REFERENCE_SHA256) == 1


def distinct(df: DataFrame, column: str) -> int:
    return df.select(column).distinct().count()


def test_images_without_a_reference_are_left_out_where_others_have_one(
    spark: SparkSession,
) -> None:
    mixed = images_table(spark, [(noise(1), noise(2)), (noise(3), None)])
    bare = images_table(spark, [(noise(1), None), (noise(3), None)])
    assert (data.alike(mixed).count(), data.alike(bare).count()) == (1, 2)


def test_links_stand_in_for_tables(spark: SparkSession, tmp_path: Path) -> None:
    written = data.write(images_table(spark, [(noise(1), None)]), tmp_path / "written")
    folder = data.linked(tmp_path / "run", [("images", written / "images")])
    assert tables.read(spark, str(folder / "images"), schemas.IMAGES).count() == 1


@pytest.mark.slow
def test_lightgbm_is_fitted_on_spark_and_alone(spark: SparkSession) -> None:
    found = fits.measure(spark, n=200, repeats=1)

    assert [(row.way, row.stage, row.n) for row in found] == [
        ("LightGBM on Spark", "fit", 200),
        ("lightgbm alone", "fit", 200),
        ("one core, Python", "trees", 200),
    ]
    assert all(row.images_per_s and row.images_per_s > 0 for row in found)
