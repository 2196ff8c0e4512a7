from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest

from pcb_spark.core import batches, registration
from pcb_spark.core.pairs import Reading
from pcb_spark.network import graphs
from pcb_spark.network.pixel_numbers import PIXEL_NUMBERS
from tests.models import features_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIDE = 224
SPEC = graphs.FeatureSpec(
    levels=("pixels", "layer1"), pooling=("max",), reading=Reading(difference=True)
)


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(features_graph(SPEC).SerializeToString())


def board() -> NDArray[np.uint8]:
    """Dark left half, bright right half: a vertical edge between columns 111 and 112."""
    pixels = np.full((3, SIDE, SIDE), 60, dtype=np.uint8)
    pixels[:, :, 112:] = 180
    return pixels


def with_square(level: int, *, side: int, top: int = 40, left: int = 40) -> NDArray[np.uint8]:
    pixels = board()
    pixels[:, top : top + side, left : left + side] = level
    return pixels


def numbers(
    session: onnxruntime.InferenceSession,
    images: Sequence[NDArray[np.uint8]],
    reference: NDArray[np.uint8],
) -> list[dict[str, float]]:
    """Of each image that shares a reference, of whose brightness it is."""
    matched = [registration.matched(image, reference) for image in images]
    feed = batches.feed(matched, [reference], [0] * len(matched))
    (found,) = session.run([batches.FEATURES], feed)
    return [dict(zip(PIXEL_NUMBERS, row[:36].tolist(), strict=True)) for row in found[0]]


def test_names_are_the_maps_read_at_their_blurs() -> None:
    assert len(PIXEL_NUMBERS) == 36
    assert len(set(PIXEL_NUMBERS)) == 36
    assert PIXEL_NUMBERS[:10] == (
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
    assert PIXEL_NUMBERS[18] == "image_band_mean"
    assert PIXEL_NUMBERS[27] == "reference_band_mean"


def test_equal_images_differ_by_nothing(session: onnxruntime.InferenceSession) -> None:
    (found,) = numbers(session, [board()], board())
    assert list(found.values()) == [0.0] * 36


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 30), (0.5, 0), (0.5, 100)])
def test_brightness_and_contrast_of_the_camera_count_for_nothing(
    session: onnxruntime.InferenceSession, gain: float, offset: int
) -> None:
    image = (board() * gain + offset).astype(np.uint8)
    (found,) = numbers(session, [image], board())
    assert list(found.values()) == pytest.approx([0.0] * 36, abs=1e-3)


def test_bright_square_on_a_flat_board_is_read_at_every_blur(
    session: onnxruntime.InferenceSession,
) -> None:
    reference = np.full((3, SIDE, SIDE), 100, dtype=np.uint8)
    reference[:, :, 112:] = 140
    image = reference.copy()
    image[:, 40:60, 40:60] = 200  # 10 x 10 of the 112 x 112 that are compared
    (found,) = numbers(session, [image], reference)
    # Matching the contrast takes little off 100 grey levels: the square is 0.8 % of the area.
    assert found["difference_blur1_max"] == pytest.approx(100, abs=20)
    assert found["difference_blur9_max"] == pytest.approx(found["difference_blur1_max"], abs=1e-3)
    assert found["difference_blur15_max"] < 0.6 * found["difference_blur1_max"]
    assert found["image_band_blur1_max"] == pytest.approx(found["difference_blur1_max"], abs=1e-3)
    # 10 x 10 pixels, and at a blur of 3 those of the rim that keep a third: 12 x 12 less 4 corners.
    assert found["difference_blur3_share_above16"] == pytest.approx(140 / 112**2)
    assert found["difference_blur3_share_above48"] == pytest.approx(100 / 112**2, abs=5e-4)


def test_quantiles_tell_how_much_area_differs(session: onnxruntime.InferenceSession) -> None:
    (small,) = numbers(session, [with_square(180, side=8)], board())  # 16 of 12,544 pixels: 0.13 %
    (large,) = numbers(session, [with_square(180, side=40)], board())  # 400 pixels: 3.2 %
    assert small["difference_blur1_q0.999"] > 50
    assert small["difference_blur1_q0.99"] < 10
    assert large["difference_blur1_q0.99"] > 50


def test_edges_that_moved_two_pixels_stay_within_the_band(
    session: onnxruntime.InferenceSession,
) -> None:
    moved = np.roll(board(), 4, axis=2)[:, :, 4:-4]  # 4 px of 224 are 2 of 112
    moved = np.pad(moved, ((0, 0), (0, 0), (4, 4)), mode="edge")
    (found,) = numbers(session, [moved], board())
    assert found["difference_blur1_max"] > 100
    assert found["image_band_blur1_max"] < 10
    assert found["reference_band_blur1_max"] < 10


def test_edges_that_moved_six_pixels_leave_the_band(session: onnxruntime.InferenceSession) -> None:
    moved = board()
    moved[:, :, :124] = 60
    (found,) = numbers(session, [moved], board())
    assert found["image_band_blur1_max"] + found["reference_band_blur1_max"] > 50


@pytest.mark.parametrize(
    ("swapped", "clear", "silent"),
    [(False, "image_band", "reference_band"), (True, "reference_band", "image_band")],
)
def test_a_fine_line_shows_in_the_band_of_the_side_that_lacks_it(
    session: onnxruntime.InferenceSession, swapped: bool, clear: str, silent: str
) -> None:
    line = board()
    line[:, :, 40:44] = 180
    image, reference = (board(), line) if swapped else (line, board())
    (found,) = numbers(session, [image], reference)
    assert found[f"{clear}_blur1_max"] > 80
    assert found[f"{silent}_blur1_max"] < 20


def test_a_flat_image_gives_finite_numbers(session: onnxruntime.InferenceSession) -> None:
    black = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    for image, reference in ((black, board()), (board(), black), (black, black)):
        (found,) = numbers(session, [image], reference)
        assert np.isfinite(list(found.values())).all()


def test_images_that_share_a_reference_have_numbers_of_their_own(
    session: onnxruntime.InferenceSession,
) -> None:
    marked = with_square(180, side=40)
    together = numbers(session, [board(), marked, board()], board())
    alone = [numbers(session, [image], board())[0] for image in (board(), marked, board())]
    assert together == alone
