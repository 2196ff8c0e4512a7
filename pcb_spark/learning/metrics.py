"""How good the scores and the decisions are, with bounds, as rows of the ``metrics`` table.

Metrics are computed from image weights: one formula gives the value (each image's own weight) and
its bootstrap samples (a board drawn three times weighs three times as much). Whole boards are
drawn, since images of one board share its solder paste, its oven pass and its camera setting.
Scores are out of fold; an image without one counts in the rates as not cleared, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pcb_spark.lake.scopes import DEFECT, FOLD, FOLDS_MEAN, OVERALL, Scope
from pcb_spark.learning.bootstrap import (
    Floats,
    Interval,
    Resampling,
    Statistic,
    bootstrap_by_group,
    percentile_interval,
)
from pcb_spark.learning.rates import Rate, cleared, decision_rates

if TYPE_CHECKING:
    from pcb_spark.learning.judged import Judged, Rows, Texts, Verdicts
    from pcb_spark.learning.promise import Promise

Label = TypeVar("Label", int, str)

#: What every scope reports, in the order of the statistic's columns.
RANKING = ("roc_auc", "average_precision", "brier")
DECISIONS = ("slip_rate", "false_call_reduction", "review_reduction")
METRICS = (*RANKING, *DECISIONS)
#: Slips among a fold's first defects, as many as the promise speaks of; ``n`` says how many.
NEXT_SLIPS = "next_slips"
#: What a defect kind reports; its other rates would repeat those of the good images.
OF_DEFECT_KIND = ("roc_auc", "average_precision", "slip_rate")


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: ``value`` in its bounds (None where undefined), from ``n`` images."""

    scope: Scope
    metric: str
    value: float | None
    lower: float | None
    upper: float | None
    n: int


def roc_auc(judged: Judged) -> float | None:
    """Area under the ROC curve, 0..1, ties count half; None where there is one class only."""
    return _values(judged)[0]


def evaluate_scores(judged: Judged, promise: Promise, drawn: Resampling) -> list[Metric]:
    """Metrics by scope: all images and folds, values of the traceability columns, defect kinds."""
    return [
        *evaluate_folds(judged, promise, drawn),
        *evaluate_labels(judged, promise, drawn),
        *evaluate_defects(judged, promise, drawn),
    ]


def evaluate_folds(judged: Judged, promise: Promise, drawn: Resampling) -> list[Metric]:
    """Metrics ``overall``, of the folds, and their mean over those that have both classes.

    Bounds are by board, None where there is one; but those of ``slip_rate`` are Clopper and
    Pearson's: a bootstrap of no slips promises none.
    """
    by_fold = rows_by_label([index] for index in judged.fold.tolist())
    folds = {
        index: (part := judged[rows], _draw(part, drawn, index)) for index, rows in by_fold.items()
    }
    metrics = _scope(OVERALL, judged, promise, _draw(judged, drawn))
    metrics += _folds_mean(list(folds.values()), promise.confidence)
    for index, (part, samples) in folds.items():
        metrics += _scope(Scope(FOLD, str(index)), part, promise, samples)
    return metrics


def evaluate_labels(judged: Judged, promise: Promise, drawn: Resampling) -> list[Metric]:
    """Metrics of each value of the traceability columns.

    Bounds of RANKING are by board; those of the rates are ``decision_rates``', since few boards
    often agree by chance.
    """
    return [
        metric
        for column, labels in judged.labels.items()
        for label, rows in rows_by_label([label] if label else [] for label in labels).items()
        for metric in _part(Scope(column, label), judged[rows], promise, drawn)
    ]


def evaluate_defects(judged: Judged, promise: Promise, drawn: Resampling) -> list[Metric]:
    """Metrics OF_DEFECT_KIND of each kind against all good images; bounds as in labels."""
    return [
        metric
        for kind, rows in _rows_by_defect(judged.is_fail, judged.defects).items()
        for metric in _part(Scope(DEFECT, kind), judged[rows], promise, drawn)
        if metric.metric in OF_DEFECT_KIND
    ]


def evaluate_scope(
    scope: Scope,
    judged: Judged,
    promise: Promise,
    drawn: Resampling,
    names: Sequence[str] = METRICS,
) -> list[Metric]:
    """Give the metrics ``names`` of one scope; bounds as in ``evaluate_folds``."""
    samples = bootstrap_by_group(
        _statistic(judged), judged.board_id, resamples=drawn.resamples, seed=drawn.seed
    )
    return [row for row in _scope(scope, judged, promise, samples) if row.metric in names]


def escape_ppm(metrics: Iterable[Metric], caught_ppm: float) -> list[Metric]:
    """Tell every ``slip_rate`` as defects per million components that pass both machine and rule.

    ``caught_ppm`` is how many the test machine catches in a million; 0..1,000,000.
    """
    return [
        replace(
            row,
            metric="escape_ppm_added",
            value=row.value * caught_ppm,
            lower=None if row.lower is None else row.lower * caught_ppm,
            upper=None if row.upper is None else row.upper * caught_ppm,
        )
        for row in metrics
        if row.metric == "slip_rate" and row.value is not None
    ]


def suspected_wrong_verdicts(judged: Judged, *, most: int) -> Rows:
    """Positions of the ``most`` verdicts that scores contradict most, worst first; all over 0.5."""
    doubt = np.nan_to_num(np.abs(judged.is_fail - judged.score), nan=0.0)
    return np.argsort(-doubt, kind="stable")[: min(most, np.count_nonzero(doubt > 0.5))]


def _draw(judged: Judged, drawn: Resampling, stream: int = 0) -> Floats:
    """Samples (k, 6) of METRICS, whole boards drawn; streams are independent of one another."""
    return bootstrap_by_group(
        _statistic(judged),
        judged.board_id,
        resamples=drawn.resamples,
        seed=(drawn.seed, stream),
    )


def _statistic(judged: Judged) -> Statistic:
    """Bind the images; the result gives METRICS, (k, 6), from how often each is drawn, (k, n)."""
    ranked = np.argsort(judged.score, kind="stable")[: np.count_nonzero(~np.isnan(judged.score))]
    fails, scores = judged.is_fail[ranked], judged.score[ranked]
    first_of_score = np.flatnonzero(np.diff(scores, prepend=-1.0))
    passed = cleared(judged)

    def values(times: Floats) -> Floats:
        weights = times * judged.weight
        drawn = weights[:, ranked]
        columns = (
            *_ranking(drawn, fails, first_of_score),
            _ratio(drawn @ (fails - scores) ** 2, drawn.sum(axis=1)),
            _ratio(weights @ (judged.is_fail & passed), weights @ judged.is_fail),
            _ratio(weights @ (~judged.is_fail & passed), weights @ ~judged.is_fail),
            _ratio(weights @ passed, weights.sum(axis=1)),
        )
        return np.stack(columns, axis=1)

    return values


def _ranking(weights: Floats, fails: Verdicts, first_of_score: Rows) -> tuple[Floats, Floats]:
    """ROC AUC and average precision, (k,) each, of (k, n) weights in ascending order of score.

    AUC is the share of (fail, good) pairs in the right order, ties half (Hanley and McNeil, 1982).
    """
    fail = np.add.reduceat(weights * fails, first_of_score, axis=1)
    good = np.add.reduceat(weights * ~fails, first_of_score, axis=1)
    pairs = fail.sum(axis=1) * good.sum(axis=1)
    good_below = np.cumsum(good, axis=1) - good / 2
    fail_from, good_from = (np.cumsum(x[:, ::-1], axis=1)[:, ::-1] for x in (fail, good))
    # Weights are 1 at least: above the highest score drawn this divides 0 by 1.
    precision = fail_from / np.maximum(fail_from + good_from, 1.0)
    return (
        _ratio((fail * good_below).sum(axis=1), pairs),
        _ratio((fail * precision).sum(axis=1) * good.sum(axis=1), pairs),
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, NaN where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _values(judged: Judged) -> list[float | None]:
    """Value of each of METRICS, None where undefined."""
    row = _statistic(judged)(np.ones((1, len(judged.score))))[0]
    return [None if np.isnan(value) else value for value in row.tolist()]


def _scope(
    scope: Scope,
    judged: Judged,
    promise: Promise,
    samples: Floats,
    by_board: Sequence[str] = (*RANKING, *DECISIONS[1:]),
) -> list[Metric]:
    """Rows of one scope; those named in ``by_board`` take their bounds from ``samples`` (k, 6)."""
    rates = decision_rates(judged, confidence=promise.confidence)
    n_scored = np.count_nonzero(~np.isnan(judged.score))
    metrics = []
    for column, (name, value) in enumerate(zip(METRICS, _values(judged), strict=True)):
        found = rates.get(name, Rate(value, 0.0, 1.0, n_scored))
        bounds: Interval = (found.lower, found.upper) if found.n else (None, None)
        if name in by_board:
            bounds = percentile_interval(samples[:, column], confidence=promise.confidence)
        metrics.append(Metric(scope, name, value, *bounds, found.n))
    return metrics


def _part(scope: Scope, judged: Judged, promise: Promise, drawn: Resampling) -> list[Metric]:
    """Rows of a scope of few boards: only RANKING takes its bounds from them."""
    return _scope(scope, judged, promise, _draw(judged, drawn), RANKING)


def _folds_mean(folds: Sequence[tuple[Judged, Floats]], confidence: float) -> list[Metric]:
    """Mean over the folds that have both classes; boards are drawn within each fold."""
    counted = [(judged, draws) for judged, draws in folds if _values(judged)[0] is not None]
    if not counted:
        return [Metric(FOLDS_MEAN, name, None, None, None, 0) for name in METRICS[:2]]
    n = sum(np.count_nonzero(~np.isnan(judged.score)) for judged, _ in counted)
    values = np.array([_values(judged) for judged, _ in counted], dtype=np.float64).mean(axis=0)
    samples = np.mean([draws for _, draws in counted], axis=0).T
    return [
        Metric(FOLDS_MEAN, name, value, *percentile_interval(draws, confidence=confidence), n)
        for name, value, draws in zip(METRICS[:2], values.tolist(), samples, strict=False)
    ]


def _rows_by_defect(is_fail: Verdicts, defects: Texts) -> dict[str, Rows]:
    """Row numbers of each kind of defect, and with them those of all good images."""
    kinds = rows_by_label(
        filter(None, (kinds or "").split("|")) if fails else ()
        for kinds, fails in zip(defects, is_fail, strict=True)
    )
    good = np.flatnonzero(~is_fail)
    return {kind: np.concatenate((rows, good)) for kind, rows in kinds.items()}


def rows_by_label(labels: Iterable[Iterable[Label]]) -> dict[Label, Rows]:
    """Row numbers of each label, in the labels' order; a row may have none or several."""
    rows: dict[Label, list[int]] = {}
    for row, of_row in enumerate(labels):
        for label in of_row:
            rows.setdefault(label, []).append(row)
    return {label: np.array(rows[label], dtype=np.intp) for label in sorted(rows)}
