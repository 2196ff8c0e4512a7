"""Sketches tell whether two images show the same place."""

from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import sketches
from tests.goldens import decoded


def test_a_sketch_is_the_mean_of_four_by_four_pixels() -> None:
    pixels = np.zeros((3, 224, 224), dtype=np.uint8)
    pixels[0, :2, :4], pixels[1, 4:8, 4:8] = 100, 7
    found = sketches.sketch(pixels)
    assert found.shape == (3, 56, 56)
    assert (found[0, 0, 0], found[0, 0, 1], found[1, 1, 1], found[2, 0, 0]) == (50, 0, 7, 0)


def test_boards_of_one_product_are_alike_and_those_of_another_are_not() -> None:
    one, same, other = (
        sketches.sketch(decoded(*which)) for which in ((1, 1), (1, 2), (2, 1))
    )  # fmt: skip
    assert sketches.misfit(one, same) < 0.05
    assert sketches.misfit(one, other) > 0.5
    assert sketches.misfit(one, one) == pytest.approx(0)


def test_offset_and_brightness_make_no_difference_and_colour_does() -> None:
    one = sketches.sketch(decoded(1))
    moved = np.roll(one, (3, -2), axis=(1, 2))
    darker = (one * 0.7 + 5).astype(np.uint8)
    assert sketches.misfit(one, moved) < 0.05
    assert sketches.misfit(one, darker) < 0.01
    assert sketches.misfit(one, one[[1, 2, 0]]) > 0.3


def test_flat_pictures_are_unlike_everything_and_nothing_breaks() -> None:
    flat = np.full((3, 56, 56), 90, dtype=np.uint8)
    assert sketches.misfit(flat, flat) == pytest.approx(1)
    assert sketches.misfit(sketches.sketch(decoded(1)), flat) == pytest.approx(1)


def test_a_sketch_comes_back_from_its_bytes() -> None:
    found = sketches.sketch(decoded(1))
    assert np.array_equal(sketches.parse(found.tobytes()), found)
