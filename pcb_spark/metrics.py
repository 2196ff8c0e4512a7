"""How good the scores and the decisions are, with bounds, as rows of the ``metrics`` table.

Metrics are computed from image weights: one formula gives the value (all weights 1) and its
bootstrap samples (a board drawn three times weighs 3). Whole boards are drawn, since images of one
board share its solder paste, its oven pass and its camera setting. Scores are out of fold; an image
without one counts in the rates as not cleared, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcb_spark.policy import PASS, count_outcome, decide, known_verdicts, round_scores

Label = TypeVar("Label", int, str)
Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Verdicts: TypeAlias = NDArray[np.bool_]
#: (k, n) image weights, whole numbers, to (k, m) values, NaN where undefined.
Statistic: TypeAlias = Callable[[Floats], Floats]
Interval: TypeAlias = tuple[float | None, float | None]
Labels: TypeAlias = Sequence[str | None]

#: What every scope reports, in the order of the statistic's columns.
RANKING = ("roc_auc", "average_precision", "brier")
METRICS = (*RANKING, "slip_rate", "false_call_reduction", "review_reduction")
#: What a defect kind reports; its other rates would repeat those of the good images.
OF_DEFECT_KIND = ("roc_auc", "average_precision", "slip_rate")
#: Image weights held at once by the bootstrap: 8 MiB each for a handful of arrays.
_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: ``value`` in its bounds (None where undefined), from ``n`` images."""

    scope: str
    metric: str
    value: float | None
    lower: float | None
    upper: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Images that score in [lower, upper): the mean score against the share that failed."""

    lower: float
    upper: float
    n: int
    mean_probability: float
    fail_share: float


@dataclass(frozen=True, slots=True)
class _Judged:
    """Verdict, score (NaN where unscorable) and threshold of n images."""

    is_fail: Verdicts
    score: Floats
    threshold: Floats

    def __getitem__(self, rows: Rows) -> _Judged:
        return _Judged(self.is_fail[rows], self.score[rows], self.threshold[rows])


def roc_auc(is_fail: ArrayLike, probability: ArrayLike) -> float | None:
    """Area under the ROC curve, 0..1, ties count half; None where there is one class only."""
    return _values(_judge(is_fail, probability))[0]


def average_precision(is_fail: ArrayLike, probability: ArrayLike) -> float | None:
    """Sum of precision times gain in recall over the distinct scores; None as for ``roc_auc``."""
    return _values(_judge(is_fail, probability))[1]


def brier(is_fail: ArrayLike, probability: ArrayLike) -> float | None:
    """Mean squared difference of score and verdict, 0 (best) .. 1 (Brier, 1950)."""
    return _values(_judge(is_fail, probability))[2]


def bootstrap_by_group(
    statistic: Statistic, groups: ArrayLike, *, resamples: int, seed: int | Sequence[int]
) -> Floats:
    """Values (resamples, m) of ``statistic`` on whole groups redrawn; all NaN for one group.

    Parameters
    ----------
    statistic : from (k, n) weights to (k, m) values; called in chunks of the resamples.
    groups : (n,) group of each image, e.g. its board_id; drawn with replacement.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    most = max(1, _CELLS // max(1, len(codes)))
    chunks = [statistic(np.ones((0, len(codes))))]
    for done in range(0, resamples, most):
        size = min(most, resamples - done)
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        chunks.append(statistic(weights[:, codes].astype(np.float64)))
    samples = np.concatenate(chunks)
    return samples if len(names) > 1 else np.full_like(samples, np.nan)


def percentile_interval(samples: Floats, *, confidence: float = 0.95) -> Interval:
    """Two-sided percentile interval (Efron, 1979); NaN samples are left out, none give None."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None, None
    lower, upper = np.quantile(finite, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(lower), float(upper)


def evaluate_scores(
    is_fail: ArrayLike,
    probability: ArrayLike,
    *,
    board_id: Sequence[str],
    fold: ArrayLike,
    segments: Mapping[str, Labels],
    defects: Labels,
    threshold: ArrayLike,
    seed: int,
    resamples: int,
    confidence: float = 0.95,
) -> list[Metric]:
    """Metrics by scope: ``overall``, ``folds_mean``, ``fold=1``, ``line=L1``, ``defect=short``.

    Bounds are by board for ``overall``, ``folds_mean`` and folds; elsewhere ``Outcome.rates``', and
    None for RANKING. ``slip_rate`` always has the latter: a bootstrap of no slips promises none.
    Folds of one class are left out of ``folds_mean``; a kind is held against all good images.

    Parameters
    ----------
    is_fail, probability, board_id, fold : (n,); scores 0..1 or NaN; test folds count from 1.
    segments : for each traceability column its (n,) values, None where unknown.
    defects : (n,) kinds as ``open|short``, None or empty where there are none.
    threshold : one or (n,), as ``policy`` chose it.
    """
    judged = _judge(is_fail, probability, threshold)
    boards = np.asarray(board_id)

    def draw(rows: Rows, stream: int) -> Floats:
        bound = _statistic(judged[rows])
        return bootstrap_by_group(bound, boards[rows], resamples=resamples, seed=(seed, stream))

    by_fold = _rows_by_label([index] for index in np.asarray(fold, dtype=np.int64).tolist())
    folds = {index: (judged[rows], draw(rows, index)) for index, rows in by_fold.items()}
    metrics = _scope("overall", judged, confidence, draw(np.arange(len(boards)), 0))
    metrics += _folds_mean(list(folds.values()), confidence)
    for index, (part, samples) in folds.items():
        metrics += _scope(f"fold={index}", part, confidence, samples)
    for column, labels in segments.items():
        for label, rows in _rows_by_label([label] if label else [] for label in labels).items():
            metrics += _scope(f"{column}={label}", judged[rows], confidence)
    return metrics + _defect_metrics(judged, defects, confidence)


def reliability_bins(
    is_fail: ArrayLike, probability: ArrayLike, *, bins: int = 10
) -> list[ReliabilityBin]:
    """Reliability diagram: ``bins`` of equal width, empty ones left out; the last includes 1."""
    judged = _judge(is_fail, probability)
    scored = judged[np.flatnonzero(~np.isnan(judged.score))]
    codes = np.minimum((scored.score * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            lower=code / bins,
            upper=(code + 1) / bins,
            n=len(rows),
            mean_probability=float(scored.score[rows].mean()),
            fail_share=float(scored.is_fail[rows].mean()),
        )
        for code, rows in _rows_by_label([code] for code in codes.tolist()).items()
    ]


def suspected_wrong_verdicts(is_fail: ArrayLike, probability: ArrayLike, *, most: int) -> Rows:
    """Positions of the ``most`` verdicts that scores contradict most, worst first; all over 0.5."""
    judged = _judge(is_fail, probability)
    doubt = np.nan_to_num(np.abs(judged.is_fail - judged.score), nan=0.0)
    return np.argsort(-doubt, kind="stable")[: min(most, np.count_nonzero(doubt > 0.5))]


def _judge(is_fail: ArrayLike, probability: ArrayLike, threshold: ArrayLike = 0.0) -> _Judged:
    """Check the inputs; ranking keeps the scores in float64, only decisions round them."""
    scores = np.where(np.isnan(round_scores(probability)), np.nan, probability).astype(np.float64)
    thresholds = np.full(scores.shape, threshold, dtype=np.float64)
    return _Judged(known_verdicts(is_fail, len(scores)), scores, thresholds)


def _statistic(judged: _Judged) -> Statistic:
    """Bind the images; the result gives METRICS, (k, 6), from (k, n) weights."""
    ranked = np.argsort(judged.score, kind="stable")[: np.count_nonzero(~np.isnan(judged.score))]
    fails, scores = judged.is_fail[ranked], judged.score[ranked]
    first_of_score = np.flatnonzero(np.diff(scores, prepend=-1.0))
    cleared = decide(judged.score, judged.threshold) == PASS

    def values(weights: Floats) -> Floats:
        drawn = weights[:, ranked]
        columns = (
            *_ranking(drawn, fails, first_of_score),
            _ratio(drawn @ (fails - scores) ** 2, drawn.sum(axis=1)),
            _ratio(weights @ (judged.is_fail & cleared), weights @ judged.is_fail),
            _ratio(weights @ (~judged.is_fail & cleared), weights @ ~judged.is_fail),
            _ratio(weights @ cleared, weights.sum(axis=1)),
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
    # Weights are whole numbers: above the highest score drawn this divides 0 by 1.
    precision = fail_from / np.maximum(fail_from + good_from, 1.0)
    return (
        _ratio((fail * good_below).sum(axis=1), pairs),
        _ratio((fail * precision).sum(axis=1) * good.sum(axis=1), pairs),
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, NaN where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _values(judged: _Judged) -> list[float | None]:
    """Value of each of METRICS, None where undefined."""
    row = _statistic(judged)(np.ones((1, len(judged.score))))[0]
    return [None if np.isnan(value) else value for value in row.tolist()]


def _scope(
    scope: str, judged: _Judged, confidence: float, samples: Floats | None = None
) -> list[Metric]:
    """Rows of one scope; ``samples`` (resamples, 6) where its intervals are by board."""
    counts = count_outcome(judged.is_fail, judged.score, judged.threshold)
    rates = counts.rates(confidence=confidence)
    n_scored = np.count_nonzero(~np.isnan(judged.score))
    metrics = []
    for column, (name, value) in enumerate(zip(METRICS, _values(judged), strict=True)):
        rate = rates.get(name)
        bounds: Interval = (rate.lower, rate.upper) if rate and rate.n else (None, None)
        if samples is not None and name != "slip_rate":
            bounds = percentile_interval(samples[:, column], confidence=confidence)
        metrics.append(Metric(scope, name, value, *bounds, rate.n if rate else n_scored))
    return metrics


def _folds_mean(folds: Sequence[tuple[_Judged, Floats]], confidence: float) -> list[Metric]:
    """Mean over the folds that have both classes; boards are drawn within each fold."""
    counted = [(judged, draws) for judged, draws in folds if _values(judged)[0] is not None]
    if not counted:
        return [Metric("folds_mean", name, None, None, None, 0) for name in METRICS[:2]]
    n = sum(np.count_nonzero(~np.isnan(judged.score)) for judged, _ in counted)
    values = np.array([_values(judged) for judged, _ in counted], dtype=np.float64).mean(axis=0)
    samples = np.mean([draws for _, draws in counted], axis=0).T
    return [
        Metric("folds_mean", name, value, *percentile_interval(draws, confidence=confidence), n)
        for name, value, draws in zip(METRICS[:2], values.tolist(), samples, strict=False)
    ]


def _defect_metrics(judged: _Judged, defects: Labels, confidence: float) -> list[Metric]:
    """Hold the images of each kind against all good ones."""
    kinds = _rows_by_label(
        filter(None, (kinds or "").split("|")) if is_fail else ()
        for kinds, is_fail in zip(defects, judged.is_fail, strict=True)
    )
    good = np.flatnonzero(~judged.is_fail)
    return [
        row
        for kind, rows in kinds.items()
        for row in _scope(f"defect={kind}", judged[np.concatenate((rows, good))], confidence)
        if row.metric in OF_DEFECT_KIND
    ]


def _rows_by_label(labels: Iterable[Iterable[Label]]) -> dict[Label, Rows]:
    """Row numbers of each label, in the labels' order; a row may have none or several."""
    rows: dict[Label, list[int]] = {}
    for row, of_row in enumerate(labels):
        for label in of_row:
            rows.setdefault(label, []).append(row)
    return {label: np.array(rows[label], dtype=np.intp) for label in sorted(rows)}
