"""What the rules would have done on real scores: a table ``out_of_fold``, forward and by lot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks import worlds
from benchmarks.rules import RATES, RULES, decide, judge
from pcb_spark.core import names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from benchmarks.rules import Outcome
    from benchmarks.worlds import Images, World

ORDERS = 40


def read(folder: Path) -> pd.DataFrame:
    """Read the table's scored images, in the order of time."""
    table: pd.DataFrame = pd.read_parquet(folder)
    scored: pd.DataFrame = table[table[names.PROBABILITY].between(0, 1)]
    return scored.sort_values(names.CAPTURED_AT, ignore_index=True)


def by_lot(table: pd.DataFrame, *, orders: int = ORDERS, seed: int = 0) -> list[Outcome]:
    """Judge all rules on lots: each order of them is a history, each lot but the first what comes.

    A lot counts as a night. The promise counts the next 4 / rate defects, or those of the next lot
    where it has fewer.
    """
    lots = [rows for _, rows in table.groupby(names.LOT)]
    found: list[Outcome] = []
    for index in range(orders):
        order = np.random.default_rng([seed, index]).permutation(len(lots))
        for before in range(1, len(lots)):
            world = _of_lots([lots[lot] for lot in order[: before + 1]])
            found += [judge(world, rule, rate) for rule in RULES for rate in RATES]
    return found


def forward(table: pd.DataFrame) -> str:
    """Lay out what slips and is cleared in each fold by a threshold chosen on the folds before."""
    folds = table[names.FOLD].to_numpy()
    day = table[names.CAPTURED_AT].dt.date
    every = _images(table, day.rank(method="dense").astype(int) - 1)
    later = np.unique(folds)[1:]
    columns = [f"fold {fold}, {rate:.0%}" for rate in RATES for fold in later]
    lines = [" | ".join(["| forward", *columns]) + " |", "| --- " * (len(columns) + 1) + "|"]
    for rule in RULES:
        cells = []
        for rate in RATES:
            for fold in later:
                world = worlds.World(past=every[folds < fold], coming=every[folds == fold])
                chosen = rule.choose(world.past[world.past.is_fail], rate)
                cells.append(_told(world.coming, decide(world, chosen, rule.margin)))
        lines.append(" | ".join([f"| {rule.name}", *cells]) + " |")
    return "\n".join(lines)


def _told(images: Images, cleared: ArrayLike) -> str:
    passed = np.asarray(cleared)
    slips, defects = np.count_nonzero(passed & images.is_fail), np.count_nonzero(images.is_fail)
    return f"{slips} of {defects} slipped, {passed[~images.is_fail].mean():.0%} cleared"


def _of_lots(lots: Sequence[pd.DataFrame]) -> World:
    """Take the last lot for what comes, and each lot for a night."""
    night = np.repeat(np.arange(len(lots)), [len(rows) for rows in lots])
    every = _images(pd.concat(lots), night, lot=night)
    last = night == night[-1]
    return worlds.World(past=every[~last], coming=every[last])


def _images(rows: pd.DataFrame, night: ArrayLike, lot: ArrayLike | None = None) -> Images:
    codes = pd.factorize(rows[names.LOT])[0] if lot is None else lot
    return worlds.Images(
        score=rows[names.PROBABILITY].to_numpy(np.float32),
        is_fail=(rows[names.VERDICT] == names.VERDICT_FAIL).to_numpy(),
        night=np.asarray(night, dtype=np.int64),
        lot=np.asarray(codes, dtype=np.int64),
    )
