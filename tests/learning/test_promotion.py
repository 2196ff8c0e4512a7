from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pcb_spark.learning.bootstrap import Resampling
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.promotion import as_json, compare, strictest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

DRAWN = Resampling(resamples=200, seed=3)
PROMISE = Promise(max_slip_rate=0.02)
#: 20 defects and 180 good images on 40 boards.
IS_FAIL = np.arange(200) % 10 == 0
BOARDS = [f"b{n // 5}" for n in range(200)]


def judged(score: ArrayLike, weight: ArrayLike = 1.0) -> Judged:
    return Judged.of(
        image_id=[f"i{n}" for n in range(200)],
        board_id=BOARDS,
        is_fail=IS_FAIL,
        score=score,
        fold=np.zeros(200),
        defects=[None] * 200,
        labels={},
        threshold=0.5,
        weight=weight,
    )


def clearing(good: int, slips: int = 0) -> Judged:
    """A model that clears so many of the good images, and so many of the defects."""
    score = np.ones(200)
    score[np.flatnonzero(~IS_FAIL)[:good]] = 0.0
    score[np.flatnonzero(IS_FAIL)[:slips]] = 0.0
    return judged(score)


def test_a_challenger_that_clears_more_and_lets_no_more_slip_passes() -> None:
    found = compare(clearing(150), clearing(100), PROMISE, DRAWN)

    assert found.refusals == ()
    assert (found.images, found.defects, found.boards) == (200, 20, 40)
    assert found.difference == pytest.approx(0.25)
    assert found.interval[0] is not None
    assert found.interval[0] > 0.1


def test_an_equal_challenger_passes() -> None:
    assert compare(clearing(100), clearing(100), PROMISE, DRAWN).refusals == ()


def test_a_challenger_that_lets_more_slip_is_refused() -> None:
    found = compare(clearing(150, slips=2), clearing(100), PROMISE, DRAWN)

    # Clopper and Pearson's one-sided bounds of 2 and of 0 in 20.
    assert found.refusals == ("at most 28.3% of defects slip, where the champion's bound is 13.9%",)


def test_slips_within_the_promise_are_not_worse() -> None:
    loose = Promise(max_slip_rate=0.3)

    assert compare(clearing(150, slips=2), clearing(100), loose, DRAWN).refusals == ()


def test_slips_that_few_verdicts_cant_bound_pass_within_the_promise() -> None:
    """One of 20 slips, where 1 in 20 may: no bound shows that, and nothing shows it to be worse."""
    fair = Promise(max_slip_rate=0.05)

    assert compare(clearing(150, slips=1), clearing(100), fair, DRAWN).refusals == ()


def test_slips_within_the_promise_that_are_shown_to_be_worse_are_refused() -> None:
    fair = Promise(max_slip_rate=0.2)

    found = compare(clearing(150, slips=4), clearing(100), fair, DRAWN)

    assert found.refusals == ("at most 40.1% of defects slip, where the champion's bound is 13.9%",)


def test_nothing_slips_by_a_champion_that_clears_nothing() -> None:
    fair = Promise(max_slip_rate=0.2)
    nothing = clearing(100).at(np.zeros(200))

    assert compare(clearing(150, slips=4), nothing, fair, DRAWN).refusals == ()
    assert compare(clearing(150, slips=5), nothing, fair, DRAWN).refusals == (
        "at most 45.6% of defects slip, where the champion's bound is 13.9%",
    )


def test_without_redrawn_boards_bounds_alone_count() -> None:
    fair, never = Promise(max_slip_rate=0.05), Resampling(resamples=0, seed=3)

    assert len(compare(clearing(150, slips=1), clearing(100), fair, never).refusals) == 1


def test_no_challenger_passes_by_a_looser_promise_of_its_own() -> None:
    loose = Promise(max_slip_rate=0.3)

    assert strictest([loose, PROMISE]) == PROMISE
    assert strictest([PROMISE, loose]) == PROMISE
    assert strictest([loose, None]) == loose
    assert strictest([None]) is None


def test_a_challenger_that_clears_less_is_refused() -> None:
    found = compare(clearing(50), clearing(150), PROMISE, DRAWN)

    assert len(found.refusals) == 1
    assert found.refusals[0].startswith("it clears less: -6")


def test_verdicts_weigh_what_they_stand_for() -> None:
    """One image of ten stands for fifty others: whether it is cleared decides."""
    weight = np.ones(200)
    weight[1] = 50.0
    score = np.ones(200)
    score[1] = 0.0

    found = compare(judged(score, weight), judged(np.ones(200), weight), PROMISE, DRAWN)

    assert found.difference == pytest.approx(50 / 249)


@pytest.mark.parametrize(("slips", "passes"), [(0, True), (1, False)])
def test_without_a_champion_the_promised_rate_decides(slips: int, passes: bool) -> None:
    found = compare(clearing(100, slips), None, PROMISE, DRAWN)

    assert (found.refusals == ()) is passes
    assert found.champion is None
    assert found.difference is None


def test_without_a_defect_nothing_is_known() -> None:
    (good,) = (clearing(100)[~IS_FAIL],)

    assert compare(good, good, PROMISE, DRAWN).refusals == (
        "no verdict of a defect says what either lets slip",
    )


def test_a_record_keeps_the_figures() -> None:
    kept = as_json(compare(clearing(150), clearing(100), PROMISE, DRAWN))

    assert kept["challenger review_reduction"][0] == pytest.approx(0.75)  # type: ignore[index]
    assert kept["champion slip_rate"][3] == 20  # type: ignore[index]
    assert kept["refusals"] == []
