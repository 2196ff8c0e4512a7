from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core import goldens, images, png, ranges
from pcb_spark.core.errors import ImageError
from pcb_spark.core.ranges import Range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


def column(*levels: int) -> Pixels:
    """Pictures of one pixel, laid on one another."""
    return np.array(levels, dtype=np.uint8).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("levels", "shown"),
    [((90, 10, 40, 250, 60), (40, 90)), ((90, 10, 250), (90, 90)), ((90, 10), (10, 90))],
)
def test_of_three_and_more_the_lowest_and_the_highest_are_left_out(
    levels: tuple[int, ...], shown: tuple[int, int]
) -> None:
    least, most = ranges.of(column(*levels))
    assert (least.item(), most.item()) == shown


def test_a_pixel_may_show_what_the_eight_around_it_do() -> None:
    laid = np.array([[[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]], dtype=np.uint8)
    least, most = ranges.of(laid)
    assert least.tolist() == [[[10, 10, 20], [10, 10, 20], [40, 40, 50]]]
    assert most.tolist() == [[[50, 60, 60], [80, 90, 90], [80, 90, 90]]]


def test_nearest_changes_what_lies_beyond_the_range() -> None:
    shown = Range(column(20)[0], column(40)[0])
    nearest = [shown.nearest(column(level)[0]).item() for level in (10, 30, 50)]
    assert nearest == [20, 30, 40]


def colours(*levels: int) -> Pixels:
    """A decoded picture, one level a channel."""
    planes = [np.full((images.SIDE, images.SIDE), level, dtype=np.uint8) for level in levels]
    return np.stack(planes)


def grey(level: int) -> Pixels:
    return np.broadcast_to(colours(level), (3, images.SIDE, images.SIDE))


def test_a_file_has_golden_image_and_range() -> None:
    file = goldens.encode(colours(5, 6, 7), Range(colours(1, 2, 3), colours(8, 9, 10)))
    assert np.array_equal(images.decode(file), colours(5, 6, 7))
    shown = ranges.of_file(file)
    assert shown is not None
    assert [each[:, 0, 0].tolist() for each in shown] == [[1, 2, 3], [8, 9, 10]]


def test_a_grey_range_stays_grey() -> None:
    shown = ranges.of_file(goldens.encode(grey(5), Range(grey(1), grey(9))))
    assert shown is not None
    assert [each.strides[0] for each in shown] == [0, 0]
    assert [each[0, 0, 0] for each in shown] == [1, 9]


def test_viewers_see_the_golden_image() -> None:
    file = goldens.encode(colours(5, 6, 7), Range(colours(1, 2, 3), colours(8, 9, 10)))
    with Image.open(io.BytesIO(file)) as picture:
        assert (picture.size, getattr(picture, "n_frames", 1)) == ((224, 224), 1)
        assert picture.getpixel((0, 0)) == (5, 6, 7)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_other_files_have_none(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (10, 10)).save(file, kind)
    assert ranges.of_file(file.getvalue()) is None


def test_a_range_that_cannot_be_read_is_an_image_error() -> None:
    file = png.encode(colours(5, 6, 7), {b"leAS": b"no picture", b"moST": b"none either"})
    with pytest.raises(ImageError, match="begins with"):
        ranges.of_file(file)
