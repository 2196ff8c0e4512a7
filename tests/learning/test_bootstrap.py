from __future__ import annotations

import math

import numpy as np
import pytest

from pcb_spark.learning.bootstrap import Floats, Statistic, bootstrap_by_group, percentile_interval


def test_bootstrap_draws_whole_boards_and_as_many_as_there_are() -> None:
    def weights_themselves(weights: Floats) -> Floats:
        return weights

    drawn = bootstrap_by_group(
        weights_themselves, ["B2", "B1", "B2", "B3", "B2"], resamples=400, seed=1
    )

    assert drawn.shape == (400, 5)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 0] == drawn[:, 4]).all()
    assert (drawn[:, 0] + drawn[:, 1] + drawn[:, 3] == 3).all()
    assert set(drawn[:, 1]) == {0.0, 1.0, 2.0, 3.0}


def share_of(hits: Floats) -> Statistic:
    def statistic(weights: Floats) -> Floats:
        share: Floats = (weights * hits).sum(axis=1) / weights.sum(axis=1)
        return share[:, np.newaxis]

    return statistic


def test_bootstrap_is_the_same_for_a_seed_and_another_for_another() -> None:
    hits = np.array([1.0, 0.0] * 50)
    boards = np.arange(100)

    one, again, other = (
        bootstrap_by_group(share_of(hits), boards, resamples=20, seed=seed) for seed in (1, 1, 2)
    )

    assert (one == again).all()
    assert (one != other).any()


def test_one_board_says_nothing_of_how_boards_differ() -> None:
    samples = bootstrap_by_group(share_of(np.ones(3)), ["B1"] * 3, resamples=20, seed=1)

    assert percentile_interval(samples[:, 0]) == (None, None)


def test_interval_by_board_is_wider_than_by_image_where_defects_cluster() -> None:
    # 40 boards of ten alike: sqrt(0.25 / 40) by board, sqrt(0.25 / 400) by image.
    hits = np.repeat([1.0, 0.0] * 20, 10)
    boards = np.repeat(np.arange(40), 10)

    widths = []
    for groups in (boards, np.arange(400)):
        samples = bootstrap_by_group(share_of(hits), groups, resamples=2000, seed=3)
        lower, upper = percentile_interval(samples[:, 0])
        widths.append((upper or math.nan) - (lower or math.nan))

    assert widths == pytest.approx([2 * 1.96 * 0.0791, 2 * 1.96 * 0.025], rel=0.1)


def test_percentile_interval_leaves_undefined_samples_out() -> None:
    samples = np.array([*range(101), math.nan])

    assert percentile_interval(samples, confidence=0.9) == pytest.approx((5.0, 95.0))
