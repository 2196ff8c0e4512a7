from __future__ import annotations

import numpy as np
import pytest

from benchmarks.golden_variation import MAPS, Difference, read


def test_a_difference_counts_less_where_good_images_differ() -> None:
    """The same difference in a quiet cell and in one that good images vary in."""
    usual = np.zeros((2, 2, 2), dtype=np.float32)
    usual[:, 0, 0] = 0.4
    quiet, lively = np.zeros((2, 2, 2, 2), dtype=np.float32)
    quiet[0, 1, 1] = lively[0, 0, 0] = 0.6
    pixels = np.array([7.0], dtype=np.float32)

    def found(cells: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]) -> list[float]:
        numbers = read(Difference(pixels, dict.fromkeys(MAPS, cells)), dict.fromkeys(MAPS, usual))
        assert numbers.shape == (3, 1 + 2 * len(MAPS))
        assert numbers[:, 0].tolist() == [7.0, 7.0, 7.0]
        return [float(number) for number in numbers[:, 1]]

    # By cell: good images show .4 there, four times their mean of .1. By channel: .4 + .1 + .1.
    assert found(quiet) == pytest.approx([0.6, 0.6, 0.6 / 0.2])
    assert found(lively) == pytest.approx([0.6, 0.6 / 5, 0.6 / 0.6])
