from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from pyspark.sql import types as t

from pcb_spark.learning.pixel_difference import (
    FEATURE_NAMES,
    difference_features,
    pixel_differences,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

SIDE = 224
MAX_PIXELS = 1_000_000


def board() -> NDArray[np.uint8]:
    """Dark left half, bright right half: a vertical edge between columns 111 and 112."""
    pixels = np.full((3, SIDE, SIDE), 60, dtype=np.uint8)
    pixels[:, :, 112:] = 180
    return pixels


def with_square(level: int, *, side: int, top: int = 40, left: int = 40) -> NDArray[np.uint8]:
    pixels = board()
    pixels[:, top : top + side, left : left + side] = level
    return pixels


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """Random blocks of 8 x 8 px: an image that matches itself at one shift only."""
    blocks = np.random.default_rng(seed).integers(40, 200, (SIDE // 8, SIDE // 8), dtype=np.uint8)
    return np.broadcast_to(blocks.repeat(8, axis=0).repeat(8, axis=1), (3, SIDE, SIDE))


def features(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> dict[str, float]:
    found = difference_features(image, reference)
    return dict(zip(FEATURE_NAMES, found.tolist(), strict=True))


def test_names_are_the_maps_read_at_their_blurs() -> None:
    assert len(FEATURE_NAMES) == 36
    assert len(set(FEATURE_NAMES)) == 36
    assert FEATURE_NAMES[:10] == (
        "difference_mean",
        "difference_blur1_max",
        "difference_blur1_q0.99",
        "difference_blur1_q0.999",
        "difference_blur3_max",
        "difference_blur3_q0.99",
        "difference_blur3_q0.999",
        "difference_blur3_share_above16",
        "difference_blur3_share_above48",
        "difference_blur5_max",
    )
    assert FEATURE_NAMES[18] == "image_band_mean"
    assert FEATURE_NAMES[27] == "reference_band_mean"


def test_equal_images_differ_by_nothing() -> None:
    found = difference_features(board(), board())
    assert found.dtype == np.float32
    assert found.tolist() == [0.0] * 36


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 30), (0.5, 0), (0.5, 100)])
def test_brightness_and_contrast_of_the_camera_count_for_nothing(gain: float, offset: int) -> None:
    image = (board() * gain + offset).astype(np.uint8)
    assert difference_features(image, board()) == pytest.approx(np.zeros(36), abs=1e-3)


def test_bright_square_on_a_flat_board_is_read_at_every_blur() -> None:
    reference = np.full((3, SIDE, SIDE), 100, dtype=np.uint8)
    reference[:, :, 112:] = 140
    image = reference.copy()
    image[:, 40:60, 40:60] = 200  # 10 x 10 of the 112 x 112 that are compared
    found = features(image, reference)
    # Matching the contrast takes little off 100 grey levels: the square is 0.8 % of the area.
    assert found["difference_blur1_max"] == pytest.approx(100, abs=20)
    assert found["difference_blur9_max"] == pytest.approx(found["difference_blur1_max"], abs=1e-3)
    assert found["difference_blur15_max"] < 0.6 * found["difference_blur1_max"]
    assert found["image_band_blur1_max"] == pytest.approx(found["difference_blur1_max"], abs=1e-3)
    # 10 x 10 pixels, and at a blur of 3 those of the rim that keep a third: 12 x 12 less 4 corners.
    assert found["difference_blur3_share_above16"] == pytest.approx(140 / 112**2)
    assert found["difference_blur3_share_above48"] == pytest.approx(100 / 112**2, abs=5e-4)


def test_quantiles_tell_how_much_area_differs() -> None:
    small = features(with_square(180, side=8), board())  # 16 of 12,544 pixels: 0.13 %
    large = features(with_square(180, side=40), board())  # 400 pixels: 3.2 %
    assert small["difference_blur1_q0.999"] > 50
    assert small["difference_blur1_q0.99"] < 10
    assert large["difference_blur1_q0.99"] > 50


def test_edges_that_moved_two_pixels_stay_within_the_band() -> None:
    moved = np.roll(board(), 4, axis=2)[:, :, 4:-4]  # 4 px of 224 are 2 of 112
    moved = np.pad(moved, ((0, 0), (0, 0), (4, 4)), mode="edge")
    found = features(moved, board())
    assert found["difference_blur1_max"] > 100
    assert found["image_band_blur1_max"] < 10
    assert found["reference_band_blur1_max"] < 10


def test_edges_that_moved_six_pixels_leave_the_band() -> None:
    moved = board()
    moved[:, :, :124] = 60
    found = features(moved, board())
    assert found["image_band_blur1_max"] + found["reference_band_blur1_max"] > 50


@pytest.mark.parametrize(
    ("swapped", "clear", "silent"),
    [(False, "image_band", "reference_band"), (True, "reference_band", "image_band")],
)
def test_a_fine_line_shows_in_the_band_of_the_side_that_lacks_it(
    swapped: bool, clear: str, silent: str
) -> None:
    line = board()
    line[:, :, 40:44] = 180
    pair = (board(), line) if swapped else (line, board())
    found = features(*pair)
    assert found[f"{clear}_blur1_max"] > 80
    assert found[f"{silent}_blur1_max"] < 20


def test_a_flat_image_gives_finite_numbers() -> None:
    black = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    for pair in ((black, board()), (board(), black), (black, black)):
        assert np.isfinite(difference_features(*pair)).all()


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(file, "PNG")
    return file.getvalue()


SCHEMA = t.StructType([
    t.StructField("image_id", t.StringType()),
    t.StructField("line", t.StringType()),
    t.StructField("image", t.BinaryType()),
    t.StructField("reference", t.BinaryType()),
])  # fmt: skip


def test_stage_answers_for_images_with_a_usable_reference(spark: SparkSession) -> None:
    good, square = png(board()), png(with_square(180, side=40))
    rows = [
        ("same", "L1", good, good),
        ("square", "L1", square, good),
        ("no reference", "L1", good, None),
        ("broken reference", "L1", good, good[:200]),
        ("broken image", "L2", b"no image", good),
    ]
    found = pixel_differences(spark.createDataFrame(rows, SCHEMA), max_pixels=MAX_PIXELS)
    assert found.schema.simpleString() == "struct<image_id:string,features:array<float>>"
    features_of = {row["image_id"]: row["features"] for row in found.collect()}
    assert sorted(features_of) == ["same", "square"]
    assert features_of["same"] == [0.0] * 36
    # 3.19 % more bright pixels make mean 123.8 and deviation 59.9 of 120 and 60: 180 becomes 176.3.
    assert features_of["square"][1] == pytest.approx(116.3, abs=0.1)  # difference_blur1_max


def test_stage_leaves_out_what_is_too_large(spark: SparkSession) -> None:
    rows = [("one", "L1", png(board()), png(board()))]
    images = spark.createDataFrame(rows, SCHEMA)
    assert pixel_differences(images, max_pixels=SIDE * SIDE - 1).count() == 0
    assert pixel_differences(images, max_pixels=SIDE * SIDE).count() == 1


def test_stage_of_no_images_is_empty(spark: SparkSession) -> None:
    assert pixel_differences(spark.createDataFrame([], SCHEMA), max_pixels=MAX_PIXELS).count() == 0


def test_stage_aligns_when_asked(spark: SparkSession) -> None:
    moved = np.roll(texture(), (2, -4), axis=(1, 2))
    images = spark.createDataFrame([("one", "L1", png(moved), png(texture()))], SCHEMA)
    plain = pixel_differences(images, max_pixels=MAX_PIXELS).first()
    aligned = pixel_differences(images, max_pixels=MAX_PIXELS, max_offset=0.08).first()
    assert plain is not None
    assert aligned is not None
    assert plain["features"][0] > 10  # difference_mean
    assert aligned["features"][0] < 1
