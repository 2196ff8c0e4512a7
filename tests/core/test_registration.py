from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core.errors import ImageError
from pcb_spark.core.registration import Offset, align, fill, find_offset, lay, matched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

LIMIT = 0.08
IN_PLACE = Offset(down=0, right=0, within=True)
BORDER = 60


def scene(side: int, *, channels: int = 3, seed: int = 5) -> Pixels:
    """Pads of random size and place with a border of ``BORDER`` around (C, side, side)."""
    rng = np.random.default_rng(seed)
    whole = side + 2 * BORDER
    picture = np.full((channels, whole, whole), 60, dtype=np.uint8)
    for _ in range(whole * whole // 800):
        y, x = rng.integers(0, whole, 2)
        height, width = rng.integers(6, 24, 2)
        picture[:, y : y + height, x : x + width] = rng.integers(90, 255, (channels, 1, 1))
    return picture


def view(whole: Pixels, *, down: int = 0, right: int = 0) -> Pixels:
    """What a camera sees of it whose picture shows everything lower and further right."""
    side = whole.shape[1] - 2 * BORDER
    y, x = BORDER - down, BORDER - right
    return whole[:, y : y + side, x : x + side].copy()


@pytest.mark.parametrize(("down", "right"), [(0, 0), (0, 8), (-6, 0), (10, -12), (-3, -5), (16, 1)])
@pytest.mark.parametrize(("side", "channels"), [(224, 3), (160, 1)])
def test_offset_is_found_to_a_pixel(side: int, channels: int, down: int, right: int) -> None:
    whole = scene(side, channels=channels)
    down, right = down * side // 224, right * side // 224
    found = find_offset(view(whole, down=down, right=right), view(whole), limit=LIMIT)
    assert found.within
    assert abs(found.down - down) <= 1
    assert abs(found.right - right) <= 1


@pytest.mark.parametrize("darker", [1.0, 0.7])
def test_what_both_show_is_alike_to_the_border(darker: float) -> None:
    whole = scene(224)
    image = (view(whole, down=8, right=-6) * darker).astype(np.uint8)
    reference = view(whole)
    found, golden = align(image, reference, limit=LIMIT)
    assert found.shape == golden.shape == (3, 224, 224)
    apart = np.abs(found.astype(int) - golden)
    assert apart.mean() < 1
    assert apart.max() <= 4


def test_both_are_cut_to_what_both_show_and_enlarged_again() -> None:
    whole = scene(224)
    golden = align(view(whole, down=10), view(whole), limit=LIMIT)[1]
    rows = view(whole)[0, :214]  # the image shows nothing of the reference's last ten rows
    again = np.asarray(Image.fromarray(rows).resize((224, 224), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(golden[0], again)


def test_three_views_of_one_channel_are_aligned_as_three_channels() -> None:
    whole = scene(224, channels=1)
    image, reference = view(whole, down=8, right=-6), view(whole)
    shown = [np.broadcast_to(each, (3, 224, 224)) for each in (image, reference)]
    for way in (align, fill):
        grey = np.array(way(shown[0], shown[1], limit=LIMIT))
        full = np.array(way(shown[0].copy(), shown[1].copy(), limit=LIMIT))
        np.testing.assert_array_equal(grey, full)
    for found in align(shown[0], shown[1], limit=LIMIT):
        assert np.shares_memory(found[0], found[2])


def test_a_defect_stays() -> None:
    whole = scene(224)
    image = view(whole, down=4, right=10)
    image[:, 104:124, 60:90] = 0
    found, golden = align(image, view(whole), limit=LIMIT)
    apart = np.abs(found.astype(int) - golden).mean(axis=0)
    rows, columns = np.nonzero(apart > 60)
    # rows 104 to 124 less the 4 that are cut, columns 60 to 90 less 10, enlarged again
    assert 100 * 224 / 220 - 2 < rows.min() <= rows.max() < 120 * 224 / 220 + 2
    assert 50 * 224 / 214 - 2 < columns.min() <= columns.max() < 80 * 224 / 214 + 2
    assert rows.size > 300


def test_a_filled_image_shows_the_reference_where_it_has_no_pixels_itself() -> None:
    whole = scene(224)
    image, reference = view(whole, down=8, right=-6), view(whole)
    np.testing.assert_array_equal(fill(image, reference, limit=LIMIT), reference)


def test_a_defect_stays_where_it_is_on_the_reference_that_fills() -> None:
    whole = scene(224)
    reference = view(whole)
    expected = reference.copy()
    expected[:, 100:120, 50:80] = 0
    image = view(whole, down=4, right=10)
    image[:, 104:124, 60:90] = 0
    np.testing.assert_array_equal(fill(image, reference, limit=LIMIT), expected)


def test_a_laid_image_has_the_brightness_of_its_reference_and_no_seam() -> None:
    whole = scene(224)
    darker = (view(whole, down=10, right=6) * 0.7).astype(np.uint8)
    laid = lay(darker, view(whole), limit=LIMIT)
    assert np.abs(laid.astype(int) - view(whole)).max() <= 4
    np.testing.assert_array_equal(laid[:, -9:], view(whole)[:, -9:])


def test_each_channel_gets_the_brightness_and_contrast_of_its_reference() -> None:
    reference = scene(224)
    lamp = np.array([0.5, 0.8, 1.0]).reshape(3, 1, 1)
    image = (reference * lamp + 20).clip(0, 255).astype(np.uint8)
    found = matched(image, reference)
    for channel in range(3):
        assert found[channel].mean() == pytest.approx(reference[channel].mean(), abs=1)
        assert found[channel].std() == pytest.approx(reference[channel].std(), abs=1)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_flat_image_becomes_as_bright_as_its_reference_and_stays_flat(shade: int) -> None:
    reference = scene(224)
    found = matched(np.full_like(reference, shade), reference)
    for channel in range(3):
        assert np.unique(found[channel]).tolist() == [round(reference[channel].mean())]


def test_the_noise_of_a_flat_image_is_not_stretched_without_limit() -> None:
    reference = scene(224)
    image = np.full_like(reference, 100)
    image[:, 0, 0] = 101
    assert np.unique(matched(image, reference)[0]).size == 2
    assert np.ptp(matched(image, reference)) < 2 * reference.std()


def test_brightness_and_contrast_do_not_matter() -> None:
    whole = scene(224)
    image = (view(whole, down=-8, right=4) * 0.6 + 40).astype(np.uint8)
    assert find_offset(image, view(whole), limit=LIMIT) == Offset(down=-8, right=4, within=True)


def test_the_reference_of_an_image_in_place_is_left_alone() -> None:
    reference = view(scene(224))
    found, golden = align(reference.copy(), reference, limit=LIMIT)
    assert golden is reference
    np.testing.assert_array_equal(found, reference)
    assert fill(found, reference, limit=LIMIT) is found


def test_without_a_limit_only_brightness_is_matched() -> None:
    whole = scene(224)
    image, reference = view(whole, right=8), view(whole)
    found, golden = align(image, reference, limit=0)
    assert golden is reference
    np.testing.assert_array_equal(found, matched(image, reference))


def test_along_a_track_nothing_moves() -> None:
    reference = np.zeros((3, 224, 224), dtype=np.uint8)
    reference[:, :, 90:130] = 200
    noise = np.random.default_rng(2).integers(0, 20, reference.shape, dtype=np.uint8)
    image = np.roll(reference, 6, axis=2) + noise
    assert find_offset(image, reference, limit=LIMIT) == Offset(down=0, right=6, within=True)


def test_a_reference_further_off_than_the_limit_is_misaligned() -> None:
    whole = scene(224)
    with pytest.raises(ImageError, match="the image lies 0 px below and 30 px right of it") as info:
        align(view(whole, right=30), view(whole), limit=LIMIT)
    assert info.value.reason == "reference_misaligned"


def test_the_limit_is_a_share_of_the_side() -> None:
    whole = scene(224)
    image, reference = view(whole, right=14), view(whole)
    assert find_offset(image, reference, limit=0.08).within
    assert not find_offset(image, reference, limit=0.04).within


def test_a_part_that_is_missing_is_no_misalignment() -> None:
    whole = scene(224)
    reference = view(whole)
    bare = np.random.default_rng(1).integers(50, 70, reference.shape, dtype=np.uint8)
    assert find_offset(bare, reference, limit=LIMIT) == IN_PLACE


def test_another_scene_is_no_misalignment() -> None:
    assert find_offset(view(scene(224, seed=6)), view(scene(224)), limit=LIMIT) == IN_PLACE


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_flat_images_stay_where_they_are(shade: int) -> None:
    flat = np.full((3, 224, 224), shade, dtype=np.uint8)
    for pair in ((flat, view(scene(224))), (view(scene(224)), flat), (flat, flat)):
        assert find_offset(*pair, limit=LIMIT) == IN_PLACE


def test_images_of_any_shape_are_aligned() -> None:
    whole = scene(224)
    image, reference = view(whole, down=6)[:, :, :131], view(whole)[:, :, :131]
    assert find_offset(image, reference, limit=LIMIT) == Offset(down=6, right=0, within=True)
