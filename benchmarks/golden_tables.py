"""What each way of comparing is worth: areas, intervals, and what the rule makes of them.

Part of ``benchmarks.goldens``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks import golden_nights as nights
from benchmarks import golden_pairs as pairs
from benchmarks.golden_pairs import NONE, OWN
from pcb_spark.learning.bootstrap import bootstrap_by_group, percentile_interval
from pcb_spark.learning.folds import plan_folds
from pcb_spark.learning.forward import all_steps, evaluate_forward
from pcb_spark.learning.rates import count_outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.learning.folds import Fold

    Row = dict[str, str]
    Scores = NDArray[np.float64]
    #: Which rows can be judged, (n,), and the out-of-fold scores by seed, (n,) each.
    Judgement = tuple[NDArray[np.bool_], list[Scores]]

RESAMPLES = 200


class Drop(NamedTuple):
    """A drop's rows in the order of time, (n,) whether they fail, (n,) their days, its folds."""

    rows: Sequence[Row]
    fails: NDArray[np.bool_]
    days: NDArray[np.datetime64]
    folds: Sequence[Fold]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Drop:
        """What rows of ``verdicts.csv``, in the order of time, say."""
        days = np.array([pairs.day_of(row) for row in rows], dtype="datetime64[D]")
        fails = np.array([row["verdict"] == "fail" for row in rows])
        return cls(rows, fails, days, plan_folds(days.astype(object).tolist()))

    @property
    def fold(self) -> NDArray[np.int64]:
        """Of each row, (n,), 0 where it is only trained on."""
        found = np.zeros(len(self.rows), dtype=np.int64)
        for each in self.folds:
            from_, until = np.datetime64(each.test_from), np.datetime64(each.test_until)
            found[(self.days >= from_) & (self.days <= until)] = each.index
        return found


def say_ways(drop: Drop, judged: Mapping[str, Judgement], than: str = OWN) -> None:
    """Write a row for each way, and how much more it is than one, on images that all judge."""
    say = sys.stdout.write
    tested = drop.fold > 0
    everywhere = np.all([there for there, _ in judged.values()], axis=0) & tested
    say(f"n = {everywhere.sum()} of {tested.sum()} images of the test periods\n")
    say(f"| compared with | AUC | more than {than} | judged | slipped | cleared |\n")
    say("| --- | --- | --- | --- | --- | --- |\n")
    for name, (there, by_seed) in judged.items():
        value, interval = _auc(drop, everywhere, by_seed)
        more, apart = _auc(drop, everywhere, by_seed, judged[than][1])
        slipped, cleared = zip(*_outcomes(drop, everywhere, by_seed), strict=True)
        say(
            f"| {name} | {value:.4f} {interval} | {more:+.4f} {apart} "
            f"| {there[tested].mean():.1%} | {np.mean(slipped):.1%} | {np.mean(cleared):.1%} |\n"
        )
    rest = tested & ~judged[than][0]
    if NONE in judged and drop.fails[rest].any() and not drop.fails[rest].all():
        value, interval = _auc(drop, rest, judged[NONE][1])

        without = f"{rest.sum()} have no own golden image; compared with nothing"
        say(f"\n{without} {value:.4f} {interval}\n")


def _auc(
    drop: Drop,
    rows: NDArray[np.bool_],
    by_seed: Sequence[Scores],
    than: Sequence[Scores] = (),
) -> tuple[float, str]:
    """Mean over folds and seeds, or how much more than another; boards are drawn anew."""
    fails, fold = drop.fails[rows], drop.fold[rows]
    parts = [fold == each for each in np.unique(fold)]

    def mean(some: Sequence[Scores], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        areas = [
            weighed_areas(fails[part], scores[rows][part], weights[:, part])
            for scores in some
            for part in parts
        ]
        told = np.isfinite(areas)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(told, areas, 0).sum(axis=0) / told.sum(axis=0))

    def values(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        found = mean(by_seed, weights)
        return (found - mean(than, weights) if than else found)[:, None]

    boards = np.array([row["board_id"] for row in drop.rows])[rows]
    drawn = bootstrap_by_group(values, boards, resamples=RESAMPLES, seed=0)
    lower, upper = percentile_interval(drawn)
    value = float(values(np.ones((1, int(rows.sum()))))[0, 0])
    sign = "+" if than else ""
    known = lower is not None and upper is not None
    return value, f"[{lower:{sign}.4f}, {upper:{sign}.4f}]" if known else "[]"


def weighed_areas(
    fails: NDArray[np.bool_], scores: Scores, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Areas (k,) under the ROC curve of images (n,) that count ``weights`` (k, n) times.

    NaN where one class has no weight.
    """
    place = np.unique(scores, return_inverse=True)[1]
    areas = np.full(len(weights), np.nan)
    for number, weight in enumerate(weights):
        bad, good = (np.bincount(place, weight * side) for side in (fails, ~fails))
        pairs_of = bad.sum() * good.sum()
        if pairs_of:
            areas[number] = bad @ (np.cumsum(good) - good / 2) / pairs_of
    return areas


def _outcomes(
    drop: Drop, rows: NDArray[np.bool_], by_seed: Sequence[Scores]
) -> Iterator[tuple[float, float]]:
    """Shares of the defects that slip and of the good images that are cleared, forward."""
    for scores in by_seed:
        judged = nights.judged_of(drop.rows, drop.fails, scores, rows, drop.fold)
        outcome = count_outcome(all_steps(judged, evaluate_forward(judged, nights.PROMISE)))
        yield outcome.slips / outcome.defects, outcome.cleared_good / outcome.good
