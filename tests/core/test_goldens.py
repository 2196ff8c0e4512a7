"""A golden image is the trimmed mean of good images that were brought together."""

from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core import goldens, images
from tests.goldens import decoded

LIMIT = 0.08


def test_of_one_image_it_is_that_image() -> None:
    found = goldens.golden([decoded(1)], limit=LIMIT)
    assert np.array_equal(found.pixels, decoded(1))
    assert found.spread == 0


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_one_of_three_shows_leaves_no_trace(bad: int) -> None:
    pictures = [decoded(1, board) for board in range(3)]
    stained = pictures[bad].copy()
    stained[:, 80:140, 80:140] = 255
    mixed = [*pictures[:bad], stained, *pictures[bad + 1 :]]
    stain = np.s_[:, 90:130, 90:130]
    found, clean = (goldens.golden(each, limit=LIMIT).pixels for each in (mixed, pictures))
    assert np.abs(found[stain].astype(int) - clean[stain]).mean() < 15


def test_images_are_brought_together_and_to_one_brightness() -> None:
    base = decoded(1)
    moved = np.roll(base, (6, -4), axis=(1, 2))
    darker = (base * 0.8).astype(np.uint8)
    found = goldens.golden([moved, darker, base], limit=LIMIT)
    inner = np.s_[:, 12:-12, 12:-12]
    assert np.abs(found.pixels[inner].astype(int) - base[inner]).mean() < 2


def test_one_beyond_the_limit_is_left_out() -> None:
    far = np.roll(decoded(1, 3), (40, 0), axis=(1, 2))
    near = [decoded(1, 1), decoded(1, 2)]
    found = goldens.golden([near[0], far, near[1]], limit=0.1).pixels
    assert np.array_equal(found, goldens.golden(near, limit=0.1).pixels)


def test_spread_is_the_mean_difference_in_grey_levels() -> None:
    apart = goldens.golden([decoded(1, board) for board in range(5)], limit=LIMIT).spread
    alike = goldens.golden([decoded(1)] * 5, limit=LIMIT).spread
    assert alike == 0
    assert 1 < apart < 10


def test_a_golden_file_holds_the_pixels_to_the_last_bit() -> None:
    colour = decoded(1)
    assert np.array_equal(images.decode(goldens.encode(colour)), colour)
    grey = np.broadcast_to(colour[:1], colour.shape)
    found = images.decode(goldens.encode(grey))
    assert np.array_equal(found, grey)
    assert found.strides[0] == 0


def test_grey_images_make_a_grey_one() -> None:
    pictures = [np.broadcast_to(decoded(1, n)[:1], (3, 224, 224)) for n in range(3)]
    found = goldens.golden(pictures, limit=LIMIT).pixels
    assert found.strides[0] == 0
    assert np.array_equal(found[0], goldens.golden([p.copy() for p in pictures], limit=LIMIT)[0][0])
