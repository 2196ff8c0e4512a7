from __future__ import annotations

import numpy as np
import pytest

from pcb_spark.core.errors import BundleError
from pcb_spark.core.linear import Linear, mean, of_parts, probability
from tests import models

WIDTH = 300


def test_log_odds_by_hand() -> None:
    """2 sqrt(2.25) - sqrt(0) + .5; a negative feature counts as 0."""
    found = Linear(
        weights=np.array([2, -1], dtype=np.float32),
        bias=0.5,
        center=np.array([1, 0], dtype=np.float32),
        most=np.array([2, 2], dtype=np.float32),
    )

    rows = np.array([[2.25, -7], [1e6, 0]], dtype=np.float32)

    # A million was never seen: it counts as the most that was.
    assert found.log_odds(rows) == pytest.approx([3.5, 4.5])
    assert found.contributions(rows)[0] == pytest.approx([2 * 0.5, 0])


def test_probability_is_that_of_the_mean_of_both_log_odds() -> None:
    both = mean(np.array([2.0, -4.0]), np.array([0.0, 4.0]))
    assert both.tolist() == [1.0, 0.0]
    assert probability(both) == pytest.approx([1 / (1 + np.exp(-1)), 0.5])


def test_what_the_image_itself_says_counts_a_quarter() -> None:
    found = probability(np.array([2.0, -4.0]), np.array([-6.0, 12.0]))
    assert found == pytest.approx([0.5, 0.5])


def test_text_holds_every_bit() -> None:
    before = models.linear(WIDTH)

    after = Linear.from_json(before.to_json())

    assert after.weights.tobytes() == before.weights.tobytes()
    assert after.center.tobytes() == before.center.tobytes()
    assert after.most.tobytes() == before.most.tobytes()
    assert after.bias == before.bias


@pytest.mark.parametrize("text", ["", "[]", '{"weights": [1]}', '{"weights": ["a"], "bias": 1}'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"linear\.json can't be read"):
        Linear.from_json(text)


def test_the_file_that_is_damaged_is_named() -> None:
    with pytest.raises(BundleError, match=r"image_linear\.json can't be read"):
        of_parts({"image_linear.json": b"{}"}, "image_linear.json")
