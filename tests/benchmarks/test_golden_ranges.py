from __future__ import annotations

import numpy as np

from benchmarks.golden_ranges import bounds


def test_of_five_the_lowest_and_the_highest_are_left_out() -> None:
    members = [np.full((1, 1, 1), level, np.uint8) for level in (90, 10, 40, 250, 60)]

    least, most = bounds(members, around=False)

    assert (least.item(), most.item()) == (40, 90)
    assert [each.item() for each in bounds(members[:4], around=False)] == [10, 250]


def test_a_pixel_may_show_what_its_neighbours_do() -> None:
    member = np.array([[[10, 20, 30, 40]]], dtype=np.uint8)

    least, most = bounds([member], around=True)

    assert least.tolist() == [[[10, 10, 20, 30]]]
    assert most.tolist() == [[[20, 30, 40, 40]]]
