from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest

from pcb_spark.core import images, names, registration
from pcb_spark.core.errors import InputError
from pcb_spark.core.pairs import Reading
from pcb_spark.network import backbone, features, graphs
from pcb_spark.network.inference import InferencePlan
from pcb_spark.network.settings import FeaturesConfig
from tests.rows import NO_IMAGE, images_table, rendered_pairs
from tests.trunks import around

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame, SparkSession

PLAN = InferencePlan(batch_size=4, partitions=2, threads=1, max_pixels=1_000_000)
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32).reshape(3, 1, 1)


def configured(**values: Any) -> FeaturesConfig:
    return FeaturesConfig.model_validate(values)


@pytest.mark.parametrize(
    ("reference", "with_reference", "difference"),
    [
        ("auto", 100, True),
        ("auto", 50, True),
        ("auto", 49, False),
        ("auto", 0, False),
        ("difference", 1, True),
        ("none", 100, False),
    ],
)
def test_references_are_used_as_asked_and_where_half_of_the_images_have_one(
    reference: str, with_reference: int, difference: bool
) -> None:
    chosen = features.choose_spec(
        configured(reference=reference), features.Available(images=100, handed_over=with_reference)
    )
    assert chosen.difference is difference


def test_references_that_nobody_has_are_refused() -> None:
    with pytest.raises(InputError, match="none of 100 images has one"):
        features.choose_spec(
            configured(reference="difference"), features.Available(images=100, handed_over=0)
        )


def test_empty_settings_mean_the_measured_defaults() -> None:
    with_reference = features.choose_spec(configured(), features.Available(images=9, handed_over=9))
    assert with_reference == graphs.FeatureSpec(
        levels=("pixels", "layer1", "layer2"),
        pooling=("max",),
        reading=Reading(difference=True, max_offset=0.08),
        image_levels=("layer2", "layer3"),
    )
    without = features.choose_spec(configured(), features.Available(images=9, handed_over=0))
    assert without == graphs.FeatureSpec(
        levels=("layer2", "layer3"), pooling=("mean", "max"), reading=Reading(difference=False)
    )


def test_fingerprint_tells_aligned_images_from_others(untrained: backbone.Backbone) -> None:
    plain, aligned, further = (
        features.build(
            untrained,
            features.choose_spec(
                configured(max_offset=most), features.Available(images=9, handed_over=9)
            ),
        ).fingerprint
        for most in (0, 0.05, 0.08)
    )
    assert len({plain, aligned, further}) == 3


def test_fingerprint_tells_pixels_of_another_bit_depth_from_others(
    untrained: backbone.Backbone,
) -> None:
    found = [
        features.build(
            untrained,
            features.choose_spec(
                configured(), features.Available(images=9, handed_over=9), bit_depth=depth
            ),
        ).fingerprint
        for depth in (10, 12, 16)
    ]
    usual = features.choose_spec(configured(), features.Available(images=9, handed_over=9))
    assert len(set(found)) == 3
    assert found[2] == features.build(untrained, usual).fingerprint


@pytest.mark.parametrize(
    ("reference", "handed_over", "own_share", "chosen"),
    [
        ("auto", 50, None, names.HANDED_OVER),
        ("auto", 49, 0.5, names.OWN_OR_PINNED),
        ("auto", 49, 0.49, None),
        ("own", 0, 0.01, names.OWN_OR_PINNED),
        ("own", 80, 0.01, names.OWN),
    ],
)
def test_own_golden_images_are_used_as_asked_and_where_half_of_the_images_look_like_one(
    reference: str, handed_over: int, own_share: float | None, chosen: str | None
) -> None:
    had = features.Available(images=100, handed_over=handed_over, own_share=own_share)
    reading = features.choose_spec(configured(reference=reference), had).reading
    assert (reading.references if reading.difference else None) == chosen


def test_own_golden_images_that_there_are_none_of_are_refused() -> None:
    had = features.Available(images=100, handed_over=3, own_share=0.0)
    with pytest.raises(InputError, match=r"(?s)no image has one.*golden job"):
        features.choose_spec(configured(reference="own"), had)


def test_fingerprint_tells_own_golden_images_from_references_of_the_drop(
    untrained: backbone.Backbone,
) -> None:
    config = configured(reference="own")
    found = {
        features.build(
            untrained, features.spec_of(config, difference=True, references=source)
        ).fingerprint
        for source in names.REFERENCE_SOURCES
    }
    assert len(found) == 3


def test_the_level_pixels_needs_references() -> None:
    wanted = configured(levels=("pixels", "layer1"))
    assert (
        features.choose_spec(wanted, features.Available(images=9, handed_over=9)).width == 36 + 512
    )
    with pytest.raises(InputError, match="2 of 9 images with a reference"):
        features.choose_spec(wanted, features.Available(images=9, handed_over=2))


@pytest.mark.parametrize(
    ("given", "difference", "levels"),
    [
        ({}, True, ("layer2", "layer3")),
        ({}, False, ()),
        ({"image_levels": ()}, True, ()),
        ({"levels": ("layer1",)}, True, ()),
        ({"levels": ("layer1",), "image_levels": ("layer2",)}, True, ("layer2",)),
    ],
    ids=["default", "no reference", "none", "levels alone", "both"],
)
def test_the_image_itself_is_read_beside_a_difference(
    given: dict[str, Any], difference: bool, levels: tuple[str, ...]
) -> None:
    assert features.spec_of(configured(**given), difference=difference).image_levels == levels


def test_levels_and_pooling_are_taken_as_set() -> None:
    chosen = features.choose_spec(
        configured(levels=["layer4"], pooling=["mean"]), features.Available(images=9, handed_over=9)
    )
    assert (chosen.levels, chosen.pooling) == (("layer4",), ("mean",))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> backbone.Backbone:
    return backbone.load("untrained", cache_dir=tmp_path_factory.mktemp("cache"), seed=3)


def spec(*levels: str, difference: bool = True) -> graphs.FeatureSpec:
    return graphs.FeatureSpec(
        levels=levels, pooling=("max",), reading=Reading(difference=difference)
    )


def test_feature_set_is_identified_by_weights_and_settings(
    untrained: backbone.Backbone, tmp_path: Path
) -> None:
    other = backbone.load("untrained", cache_dir=tmp_path, seed=4)
    made = features.build(untrained, spec("layer1"))
    assert made.fingerprint == features.build(untrained, spec("layer1")).fingerprint
    others = [
        features.build(other, spec("layer1")),
        features.build(untrained, spec("layer2")),
        features.build(untrained, spec("layer1", difference=False)),
    ]
    assert len({made.fingerprint, *(each.fingerprint for each in others)}) == 4


def test_feature_set_says_where_it_comes_from(untrained: backbone.Backbone) -> None:
    made = features.build(untrained, spec("layer1"))
    assert made.backbone_source == "untrained"
    assert made.backbone_sha256 == untrained.sha256
    assert not made.trained
    assert made.precision == "fp32"


@pytest.mark.parametrize(
    ("difference", "current"),
    [(True, ["same", "unhashed"]), (False, ["reference", "same", "unhashed"])],
)
def test_features_of_what_was_replaced_are_not_current(
    spark: SparkSession, difference: bool, current: list[str]
) -> None:
    hashes = (
        f"{names.IMAGE_ID} string, {names.CONTENT_SHA256} string, {names.REFERENCE_SHA256} string"
    )
    made = spark.createDataFrame(
        [
            ("same", "a", "r"),
            ("content", "b", "r"),
            ("reference", "c", "r"),
            ("older", None, None),
            ("unhashed", "e", "r"),
        ],
        hashes,
    )
    images_now = spark.createDataFrame(
        [
            ("same", "a", "r"),
            ("content", "B", "r"),
            ("reference", "c", "R"),
            ("older", "d", "r"),
            ("unhashed", "e", None),
        ],
        hashes,
    )
    kept = features.current(made, images_now, difference=difference)
    assert sorted(row[0] for row in kept.collect()) == current


def test_calibration_images_make_an_int8_feature_set(untrained: backbone.Backbone) -> None:
    pairs = rendered_pairs(4)
    pixels = [images.decode(image, max_pixels=1_000_000) for image, _ in pairs]
    made = features.build(untrained, spec("layer1"), calibration=pixels)
    assert made.precision == "int8"
    assert made.fingerprint != features.build(untrained, spec("layer1")).fingerprint


def test_calibration_sample_is_drawn_by_seed_and_leaves_damaged_files_out(
    spark: SparkSession,
) -> None:
    pairs: list[tuple[bytes, bytes | None]] = [
        *rendered_pairs(38), (NO_IMAGE, None),
    ]  # fmt: skip
    table = images_table(spark, pairs)
    reading = Reading(difference=True)
    drawn = features.calibration_sample(table, reading, max_pixels=10**6, seed=1)
    assert 60 <= len(drawn) <= 64  # 32 of the 39 images, the damaged one perhaps among them
    assert all(each.shape == (3, 224, 224) for each in drawn)
    again = features.calibration_sample(table.repartition(3), reading, max_pixels=10**6, seed=1)
    assert all(map(np.array_equal, drawn, again))
    other = features.calibration_sample(table, reading, max_pixels=10**6, seed=2)
    assert not all(map(np.array_equal, drawn, other))


def maps(
    trunk: onnx.ModelProto, contents: list[NDArray[np.uint8]], levels: tuple[str, ...]
) -> list[NDArray[np.float32]]:
    """What plain ONNX Runtime makes of images, one by one."""
    session = ort.InferenceSession(trunk.SerializeToString())
    single = []
    for pixels in contents:
        data = ((pixels.astype(np.float32) / 255 - MEAN) / STD)[None]
        single.append(session.run(list(levels), {"data": data}))
    return [np.concatenate(level) for level in zip(*single, strict=True)]


def differences(
    source: backbone.Backbone, pairs: list[tuple[bytes, bytes]], levels: tuple[str, ...]
) -> NDArray[np.float32]:
    """Max-pooled excess and lack of each pair, level by level, by numpy."""
    trunk = backbone.cut(source, levels)
    decoded = [[images.decode(content) for content in pair] for pair in pairs]
    matched = [registration.matched(image, reference) for image, reference in decoded]
    golden = [reference for _, reference in decoded]
    columns = []
    for x, r in zip(maps(trunk, matched, levels), maps(trunk, golden, levels), strict=True):
        columns += [np.maximum(x - around(r), 0).max((2, 3))]
        columns += [np.maximum(r - around(x), 0).max((2, 3))]
    return np.concatenate(columns, axis=1)


def by_spark(df: DataFrame, feature_set: features.FeatureSet) -> NDArray[np.float32]:
    rows = features.featurize(df, feature_set, PLAN).orderBy(names.IMAGE_ID).collect()
    return np.array([row.features for row in rows], dtype=np.float32)


@pytest.mark.slow
def test_features_from_spark_are_those_of_plain_onnxruntime(
    spark: SparkSession, untrained: backbone.Backbone
) -> None:
    pairs = rendered_pairs(12)
    found = by_spark(images_table(spark, pairs), features.build(untrained, spec("layer1")))
    expected = differences(untrained, pairs, ("layer1",))
    assert found.shape == (12, 512)
    assert expected.max() > 0.5
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.shared
def test_features_of_real_weights_on_real_boards_are_those_of_plain_onnxruntime(
    spark: SparkSession, shared: Path
) -> None:
    weights = shared / "weights" / "resnet50_imagenet.onnx"
    source = backbone.load(str(weights), cache_dir=shared)
    drop = shared / "data" / "deeppcb"
    some = sorted((drop / "images").rglob("*.jpg"))[:: 6664 // 8][:8]
    golden = [drop / "references" / path.name for path in some]
    pairs = [(a.read_bytes(), b.read_bytes()) for a, b in zip(some, golden, strict=True)]
    levels = ("layer1", "layer2", "layer3")
    found = by_spark(images_table(spark, pairs), features.build(source, spec(*levels)))
    expected = differences(source, pairs, levels)
    assert found.shape == (8, 2 * (256 + 512 + 1024))
    assert expected.max() > 0.5
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.shared
def test_features_of_single_images_are_those_of_plain_onnxruntime(
    spark: SparkSession, shared: Path
) -> None:
    weights = shared / "weights" / "resnet50_imagenet.onnx"
    source = backbone.load(str(weights), cache_dir=shared)
    wanted = graphs.FeatureSpec(
        levels=("layer2", "avgpool"), pooling=("mean", "max"), reading=Reading(difference=False)
    )
    pairs = rendered_pairs(4)
    found = by_spark(images_table(spark, pairs), features.build(source, wanted))
    layer2, layer4 = maps(
        backbone.cut(source, ("layer2", "layer4")), [images.decode(image) for image, _ in pairs],
        ("layer2", "layer4"),
    )  # fmt: skip
    by_hand = [layer2.mean((2, 3)), layer2.max((2, 3)), layer4.mean((2, 3))]
    assert np.abs(found - np.concatenate(by_hand, axis=1)).max() < 1e-4


def test_every_image_keeps_its_row_with_features_or_a_reason(
    spark: SparkSession, untrained: backbone.Backbone
) -> None:
    image, reference = rendered_pairs(1)[0]
    pairs: list[tuple[bytes, bytes | None]] = [
        (image, reference), (NO_IMAGE, reference), (image, None), (image, NO_IMAGE),
    ]  # fmt: skip
    feature_set = features.build(untrained, spec("layer1"))
    made = features.featurize(images_table(spark, pairs), feature_set, PLAN)
    assert set(made.columns) >= {
        "image_id", "source_uri", "features", "feature_set", "capture_date", "reason", "detail",
    }  # fmt: skip
    rows = made.orderBy(names.IMAGE_ID).collect()
    assert [(row.image_id, row.reason) for row in rows] == [
        ("i000", None),
        ("i001", "not_an_image"),
        ("i002", "reference_missing"),
        ("i003", "reference_unusable"),
    ]
    assert [row.features is None for row in rows] == [False, True, True, True]
    assert {row.feature_set for row in rows} == {feature_set.fingerprint}
