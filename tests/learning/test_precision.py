from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pcb_spark.core.errors import TrainingError
from pcb_spark.learning.bootstrap import Resampling
from pcb_spark.learning.precision import Comparison, compare
from pcb_spark.learning.promise import Promise
from tests.judged import judged

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def compared(
    fp32: ArrayLike,
    int8: ArrayLike,
    *,
    fold: ArrayLike | None = None,
    line: ArrayLike | None = None,
    lot: ArrayLike | None = None,
    resamples: int = 200,
) -> Comparison:
    """Two folds of 400 images, 200 of them defects, ten images a board."""
    boards = [f"B{i // 10}" for i in range(800)]
    folds = np.repeat([1, 2], 400) if fold is None else fold
    labels: dict[str, Any] = {
        name: each for name, each in (("line", line), ("lot", lot)) if each is not None
    }
    promise = Promise(
        max_slip_rate=0.02,
        confidence=0.95,
        segment_by=None if line is None else "line",
        bound="next" if lot is None else "lot",
    )
    one, other = (
        judged(FAILS, scores, board_id=boards, fold=folds, **labels) for scores in (fp32, int8)
    )
    return compare(one, other, promise, Resampling(resamples=resamples, seed=0))


FAILS = np.tile([False, True], 400)
GOOD_SCORES = np.where(FAILS, 0.9, 0.1)


def test_equal_scores_keep_int8() -> None:
    found = compared(GOOD_SCORES, GOOD_SCORES)
    assert (found.auc_fp32, found.auc_int8) == (1.0, 1.0)
    assert (found.cleared_fp32, found.cleared_int8) == (0.5, 0.5)
    assert (found.cleared_gain_lower, found.cleared_gain_upper) == (0.0, 0.0)
    assert found.images == 800
    assert found.chosen == "int8"


def test_a_loss_of_auc_beyond_the_limit_keeps_fp32() -> None:
    worse = GOOD_SCORES.copy()
    worse[[0, 2]] = 0.95  # two of 200 good ones above all defects of fold 1: 1 % there, .5 % here
    found = compared(GOOD_SCORES, worse)
    assert found.auc_int8 == pytest.approx(0.995)
    assert found.chosen == "fp32"


def test_a_loss_of_auc_within_the_limit_keeps_int8() -> None:
    worse = GOOD_SCORES.copy()
    worse[0] = 0.9  # ties with all defects of fold 1: half of 1 / 200 there, .00125 here
    found = compared(GOOD_SCORES, worse)
    assert found.auc_int8 == pytest.approx(0.99875)
    assert found.cleared_int8 == pytest.approx(0.5 - 1 / 800)
    assert found.cleared_gain_upper == 0.0  # boards drawn without that image show no loss
    assert found.chosen == "int8"


def test_fewer_cleared_images_keep_fp32_where_chance_is_no_excuse() -> None:
    # All ranks but those of 1 % of defects stay: AUC falls by 1e-5 only, but the bound on slips
    # now stops the walk below the good images of half of the boards.
    fp32 = np.where(FAILS, 0.9, np.where(np.arange(800) // 10 % 2 == 0, 0.1, 0.3))
    int8 = fp32.copy()
    int8[[1, 3, 5, 7, 9, 401, 403, 405]] = 0.2
    found = compared(fp32, int8)
    assert found.cleared_fp32 == 0.5
    assert found.cleared_int8 == pytest.approx(0.25, abs=0.01)
    assert found.cleared_gain_upper is not None
    assert found.cleared_gain_upper < 0
    assert found.chosen == "fp32"


def test_fewer_cleared_images_keep_fp32_where_nothing_is_drawn() -> None:
    worse = GOOD_SCORES.copy()
    worse[0] = 0.9
    found = compared(GOOD_SCORES, worse, resamples=0)
    assert found.cleared_gain_upper is None
    assert found.cleared_int8 < found.cleared_fp32
    assert found.chosen == "fp32"


def test_thresholds_are_those_of_the_policy() -> None:
    """One lot doesn't tell how lots differ; and a line has its own threshold."""
    assert compared(GOOD_SCORES, GOOD_SCORES, lot=["A"] * 400 + ["B"] * 400).cleared_int8 == 0.5
    assert compared(GOOD_SCORES, GOOD_SCORES, lot=["A"] * 800).cleared_int8 == 0.0

    first = np.arange(800) < 400
    uneven = np.where(FAILS, np.where(first, 0.9, 0.3), np.where(first, 0.5, 0.4))
    lines = np.where(first, "L1", "L2").tolist()
    assert compared(uneven, uneven).cleared_int8 == 0.0
    assert compared(uneven, uneven, line=lines).cleared_int8 == 0.25


def test_a_fold_of_one_class_counts_for_nothing() -> None:
    fails_scores = np.where(FAILS, 0.9, 0.1)
    folds = np.where(FAILS & (np.arange(800) < 400), 3, np.repeat([1, 2], 400))
    found = compared(fails_scores, fails_scores, fold=folds)
    assert found.auc_fp32 == 1.0


def test_figures_are_told_by_precision() -> None:
    found = compared(GOOD_SCORES, GOOD_SCORES).as_metrics()
    assert [(str(row.scope), row.metric, row.value, row.n) for row in found] == [
        ("precision=fp32", "roc_auc", 1.0, 800),
        ("precision=int8", "roc_auc", 1.0, 800),
        ("precision=fp32", "review_reduction", 0.5, 800),
        ("precision=int8", "review_reduction", 0.5, 800),
        ("precision=int8", "review_reduction_gain", 0.0, 800),
    ]


def test_scores_of_other_images_are_not_compared() -> None:
    table = judged(FAILS, GOOD_SCORES)

    with pytest.raises(TrainingError, match="not of the same images"):
        compare(
            table,
            table[np.arange(799, -1, -1)],
            Promise(max_slip_rate=0.02),
            Resampling(resamples=0, seed=0),
        )
