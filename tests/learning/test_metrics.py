from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pcb_spark.lake.scopes import FOLDS_MEAN, FORWARD_OVERALL, OVERALL, Scope
from pcb_spark.learning.bootstrap import Resampling
from pcb_spark.learning.metrics import (
    DECISIONS,
    RANKING,
    Metric,
    escape_ppm,
    evaluate_scope,
    evaluate_scores,
    roc_auc,
    suspected_wrong_verdicts,
)
from pcb_spark.learning.promise import Promise
from tests.judged import judged

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PROMISE = Promise(max_slip_rate=0.02)


def drawn(seed: int, resamples: int) -> Resampling:
    return Resampling(seed=seed, resamples=resamples)


def ranking(is_fail: ArrayLike, scores: ArrayLike) -> list[float | None]:
    """ROC AUC, average precision and Brier score of all images."""
    rows = evaluate_scope(OVERALL, judged(is_fail, scores), PROMISE, drawn(0, 0), RANKING)
    return [row.value for row in rows]


# Two defects and two good ones, of which one of each scores 0.4.
IS_FAIL = [True, False, True, False]
SCORES = [0.8, 0.4, 0.4, 0.1]


def test_roc_auc_counts_ties_half() -> None:
    # Pairs: 0.8 > 0.4, 0.8 > 0.1, 0.4 = 0.4, 0.4 > 0.1.
    assert roc_auc(judged(IS_FAIL, SCORES)) == 3.5 / 4


def test_average_precision_steps_over_the_distinct_scores() -> None:
    # At 0.8 recall 1/2 with precision 1, at 0.4 recall 1 with precision 2/3.
    assert ranking(IS_FAIL, SCORES)[1] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_brier() -> None:
    assert ranking(IS_FAIL, SCORES)[2] == pytest.approx((0.04 + 0.16 + 0.36 + 0.01) / 4)


@pytest.mark.parametrize("is_fail", [[True, True], [False, False], []])
def test_one_class_has_no_ranking(is_fail: list[bool]) -> None:
    scores = [0.2, 0.8][: len(is_fail)]

    assert roc_auc(judged(is_fail, scores)) is None
    assert ranking(is_fail, scores)[1] is None


def test_images_without_a_score_are_left_out_of_the_ranking() -> None:
    is_fail = [*IS_FAIL, True, False]
    scores = [*SCORES, math.nan, math.nan]

    assert roc_auc(judged(is_fail, scores)) == 3.5 / 4
    assert ranking(is_fail, scores)[2] == pytest.approx(0.1425)


def test_ranking_agrees_with_scikit_learn_on_many_ties() -> None:
    rng = np.random.default_rng(5)
    is_fail = rng.random(500) < 0.3
    scores = np.round(np.clip(rng.normal(0.4 + 0.2 * is_fail, 0.2), 0, 1), 1)

    auc, precision, _ = ranking(is_fail, scores)
    assert auc == pytest.approx(roc_auc_score(is_fail, scores))
    assert precision == pytest.approx(average_precision_score(is_fail, scores))


def test_auc_interval_by_board_is_wider_where_ten_defects_share_a_board() -> None:
    rng = np.random.default_rng(11)
    board_score = np.concatenate((rng.beta(4, 3, 30), rng.beta(3, 4, 30)))

    widths = []
    for group in ([str(row // 10) for row in range(600)], [str(row) for row in range(600)]):
        table = judged(np.repeat([True, False], 300), np.repeat(board_score, 10), board_id=group)
        auc = evaluate_scores(table, PROMISE, drawn(7, 300))[0]
        widths.append((auc.upper or math.nan) - (auc.lower or math.nan))

    assert widths[0] > 2 * widths[1]


# Fold 1: two boards, one defect each; fold 2 the same; fold 3 has good ones only.
ROWS = [
    # is_fail, score, board, fold, line, defects
    (True, 0.9, "B1", 1, "L1", "open"),
    (False, 0.1, "B1", 1, "L1", None),
    (True, 0.3, "B2", 1, "L2", "short|open"),
    (False, 0.4, "B2", 1, "L2", None),
    (True, 0.8, "B3", 2, "L1", "short"),
    (False, 0.2, "B3", 2, "L1", None),
    (True, 0.7, "B4", 2, None, ""),
    (False, 0.6, "B4", 2, None, "open"),
    (False, 0.5, "B5", 3, "L2", None),
    (False, math.nan, "B6", 3, "L2", None),
]


def evaluate(threshold: float = 0.35, resamples: int = 40) -> dict[tuple[str, str], Metric]:
    is_fail, scores, boards, fold, lines, defects = zip(*ROWS, strict=True)
    table = judged(
        is_fail, scores, board_id=boards, fold=fold, line=lines, defects=defects,
        threshold=threshold,
    )  # fmt: skip
    metrics = evaluate_scores(table, PROMISE, drawn(7, resamples))
    found = {(str(metric.scope), metric.metric): metric for metric in metrics}
    assert len(found) == len(metrics)
    return found


@pytest.mark.parametrize(
    ("scope", "metric", "value", "n"),
    [
        # Of 4 x 5 pairs only 0.3 loses, to 0.4, 0.5 and 0.6.
        ("overall", "roc_auc", 17 / 20, 9),
        ("overall", "slip_rate", 1 / 4, 4),
        ("overall", "false_call_reduction", 2 / 6, 6),
        ("overall", "review_reduction", 3 / 10, 10),
        ("fold=1", "roc_auc", 3 / 4, 4),
        ("fold=2", "roc_auc", 1.0, 4),
        ("fold=3", "roc_auc", None, 1),
        ("folds_mean", "roc_auc", 7 / 8, 8),
        # Fold 1: precision 1 at 0.9, 2/3 at 0.3; fold 2: 1.
        ("folds_mean", "average_precision", (5 / 6 + 1) / 2, 8),
        ("line=L1", "roc_auc", 1.0, 4),
        ("line=L2", "roc_auc", 0.0, 3),
        # 0.9 beats five good ones, 0.3 two of them.
        ("defect=open", "roc_auc", 7 / 10, 7),
        ("defect=short", "roc_auc", 7 / 10, 7),
        ("defect=short", "slip_rate", 1 / 2, 2),
    ],
)
def test_scopes(scope: str, metric: str, value: float | None, n: int) -> None:
    row = evaluate()[scope, metric]

    assert (row.value, row.n) == (pytest.approx(value) if value is not None else None, n)


def test_what_each_scope_reports() -> None:
    found: dict[str, list[str]] = {}
    for scope, metric in evaluate():
        found.setdefault(scope, []).append(metric)

    ranking = ["roc_auc", "average_precision"]
    everything = [*ranking, "brier", "slip_rate", "false_call_reduction", "review_reduction"]
    drawn = ("overall", "fold=1", "fold=2", "fold=3")
    assert found == {
        **dict.fromkeys(drawn, everything),
        "folds_mean": ranking,
        "line=L1": everything,
        "line=L2": everything,
        "defect=open": [*ranking, "slip_rate"],
        "defect=short": [*ranking, "slip_rate"],
    }


def test_bounds_come_from_boards_where_the_scope_is_drawn_and_from_counts_elsewhere() -> None:
    found = evaluate()

    # One in four slips: the upper bound solves (1 - u)^4 + 4 u (1 - u)^3 = 0.05.
    slip = found["overall", "slip_rate"]
    assert (slip.lower, slip.upper) == pytest.approx((0.012741, 0.751395), abs=1e-6)
    auc = found["overall", "roc_auc"]
    assert auc.lower is not None
    assert auc.upper is not None
    assert auc.lower < 17 / 20 < auc.upper <= 1.0
    # Line L1's boards are both perfect; L2's fail and good images sit on different ones.
    assert found["line=L1", "roc_auc"] == Metric(Scope("line", "L1"), "roc_auc", 1.0, 1.0, 1.0, 4)
    assert found["defect=short", "roc_auc"].lower is not None
    # Line L1 clears both good ones: 0.025 ** (1 / 2) below.
    cleared = found["line=L1", "false_call_reduction"]
    assert (cleared.lower, cleared.upper) == pytest.approx((0.158114, 1.0), abs=1e-6)
    # What is undefined has no bounds.
    third = Scope("fold", "3")
    assert found["fold=3", "roc_auc"] == Metric(third, "roc_auc", None, None, None, 1)
    assert found["fold=3", "slip_rate"] == Metric(third, "slip_rate", None, None, None, 0)


def test_folds_mean_draws_the_boards_of_each_fold() -> None:
    # Fold 2 is 1.0 in every draw; fold 1 is 1.0 (B1 twice), 3/4 (both) or 0.0 (B2 twice).
    row = evaluate(resamples=400)["folds_mean", "roc_auc"]

    assert (row.lower, row.upper) == (0.5, 1.0)


def test_without_resamples_the_values_stay_and_the_drawn_bounds_go() -> None:
    row = evaluate(resamples=0)["overall", "roc_auc"]

    assert row.value == pytest.approx(0.85)
    assert (row.lower, row.upper, row.n) == (None, None, 9)


def test_no_fold_with_both_classes_has_no_mean() -> None:
    table = judged(
        [True, False], [0.8, 0.2], fold=[1, 2], defects=["open", None], threshold=[0.1, 0.3]
    )
    metrics = evaluate_scores(table, PROMISE, drawn(7, 5))

    assert Metric(FOLDS_MEAN, "roc_auc", None, None, None, 0) in metrics
    assert [m.value for m in metrics if m.metric == "review_reduction"] == [0.5, 0.0, 1.0]


def test_suspected_wrong_verdicts_are_ranked_by_contradiction() -> None:
    is_fail = [True, False, False, True, True, False, True]
    scores = [0.3, 0.99, 0.2, 0.05, 0.5, 0.7, math.nan]

    # 0.7, 0.99, 0.2, 0.95, 0.5, 0.7 and none: positions 1, 3, then 0 and 5, which are equal.
    table = judged(is_fail, scores)
    assert suspected_wrong_verdicts(table, most=10).tolist() == [1, 3, 0, 5]
    assert suspected_wrong_verdicts(table, most=2).tolist() == [1, 3]
    assert suspected_wrong_verdicts(judged([True], [0.9]), most=2).tolist() == []


def test_decisions_of_a_scope_are_drawn_by_board() -> None:
    # Forty boards of ten good images, every second board cleared.
    cleared = np.repeat([0.1, 0.9] * 20, 10)
    boards = [f"b{row // 10}" for row in range(400)]

    table = judged([False] * 400, cleared, board_id=boards, threshold=0.5)
    rows = evaluate_scope(FORWARD_OVERALL, table, PROMISE, drawn(3, 2000), DECISIONS)

    slips, good, review = rows
    assert slips == Metric(FORWARD_OVERALL, "slip_rate", None, None, None, 0)
    assert (good.metric, review.metric) == ("false_call_reduction", "review_reduction")
    assert (review.value, review.n) == (0.5, 400)
    width = (review.upper or math.nan) - (review.lower or math.nan)
    assert width == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 40), rel=0.1)


def test_ranking_of_a_scope() -> None:
    days = Scope("history_days", "3")
    table = judged(IS_FAIL, SCORES, board_id=["a", "a", "b", "b"])
    rows = evaluate_scope(days, table, PROMISE, drawn(1, 10), RANKING)

    assert [(row.scope, row.metric, row.n) for row in rows] == [
        (days, "roc_auc", 4),
        (days, "average_precision", 4),
        (days, "brier", 4),
    ]
    assert rows[0].value == 3.5 / 4


def test_escapes_in_ppm_are_slips_of_what_the_machine_catches() -> None:
    rows = [
        Metric(FORWARD_OVERALL, "slip_rate", 0.01, 0.0, 0.02, 400),
        Metric(FORWARD_OVERALL, "review_reduction", 0.6, 0.5, 0.7, 900),
        Metric(Scope("line", "L9"), "slip_rate", None, None, None, 0),
    ]

    assert escape_ppm(rows, 300.0) == [
        Metric(FORWARD_OVERALL, "escape_ppm_added", 3.0, 0.0, 6.0, 400)
    ]
