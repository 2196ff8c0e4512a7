"""How a line with golden images of its own begins; part of ``benchmarks.goldens``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.golden_pairs import Seen, day_of
from pcb_spark.learning import lightgbm_on_driver
from pcb_spark.learning.judged import Judged
from pcb_spark.learning.promise import Promise
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.learning.thresholds import choose_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Row = dict[str, str]

PROMISE = Promise(max_slip_rate=0.05)


def say_nights(
    rows: Sequence[Row],
    seen: Seen,
    fails: NDArray[np.bool_],
    days: NDArray[np.datetime64],
    nights: int,
) -> None:
    """Write how a line begins: a row for every few nights, judged by what was there before."""
    say = sys.stdout.write
    say("| nights | golden_missing | AUC | good images cleared | defects slipped |\n")
    say("| --- | --- | --- | --- | --- |\n")
    scores = np.full(len(rows), np.nan)
    for number, period in enumerate(_periods(np.unique(days), nights)):
        now = np.isin(days, period)
        before, test = seen.there & (days < period[0]), seen.there & now
        if fails[before].any() and not fails[before].all() and test.any():
            scores[test] = _scores(seen, fails, before, test)
        known = ~np.isnan(scores) & (days < period[0])
        threshold = choose_threshold(judged_of(rows, fails, scores, known), PROMISE).value
        cleared = scores < threshold
        judged = ~np.isnan(scores) & now
        mixed = 0 < fails[judged].sum() < judged.sum()
        auc = f"{roc_auc_score(fails[judged], scores[judged]):.3f}" if mixed else "none"
        good, bad = now & ~fails, now & fails
        say(
            f"| {number * nights + 1} to {number * nights + len(period)} "
            f"| {(now & ~seen.there).sum() / now.sum():.0%} | {auc} "
            f"| {(cleared & good).sum() / good.sum():.0%} "
            f"| {(cleared & bad).sum()} of {bad.sum()} |\n"
        )


def _scores(
    seen: Seen, fails: NDArray[np.bool_], before: NDArray[np.bool_], test: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Scores of ``test`` by a classifier as it is served, fitted on ``before``, both (n,)."""
    windows = [(np.flatnonzero(before), np.flatnonzero(test))]
    settings = ClassifierConfig().for_reference_mode(difference=True)
    return lightgbm_on_driver.predict_forward(
        seen.values, fails, windows, settings, seed=0, threads=1
    )[0]


def _periods(days: NDArray[np.datetime64], nights: int) -> Iterator[NDArray[np.datetime64]]:
    for start in range(0, len(days), nights):
        yield days[start : start + nights]


def judged_of(
    rows: Sequence[Row],
    fails: NDArray[np.bool_],
    scores: NDArray[np.float64],
    known: NDArray[np.bool_],
    fold: NDArray[np.int64] | None = None,
) -> Judged:
    """The rows that are ``known`` (n,) with their scores, of one fold where none is named."""
    chosen = [row for row, wanted in zip(rows, known, strict=True) if wanted]
    return Judged.of(
        image_id=[row["image"] for row in chosen],
        board_id=[row["board_id"] for row in chosen],
        is_fail=fails[known],
        score=scores[known],
        fold=np.ones(len(chosen)) if fold is None else fold[known],
        defects=[row.get("defects") for row in chosen],
        labels={},
        capture_date=[day_of(row) for row in chosen],
    )
