"""Numbers of images by line: how days differ, and lines, lots and positions among themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from pcb_spark.core import names
from pcb_spark.monitor import spread
from pcb_spark.monitor.spread import Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of a frame of images beside its numbers.
PLACES: Final = (names.CAPTURE_DATE, names.LINE, names.LOT, names.POSITION)
#: What stands for an image without a line.
NO_LINE: Final = ""
#: Fewer images of a day or a lot are no unit; of a position there are few a day.
LEAST: Final = {names.CAPTURE_DATE: 5, names.LOT: 5, names.POSITION: 2}
_MOST_POSITIONS: Final = 40
#: A lot that is nearly all of its line's day can't differ from it.
_MOST_OF_A_DAY: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is known of one number on one line.

    Attributes
    ----------
    days : of its mean, by day.
    grid, cumulated : its distribution: points, and the share of images up to each.
    images : of a usual day.
    ks, psi : of the distances of each training day to the others.
    lots : of the lots' means, less their line's mean of the day; None where lots don't differ.
    against : of its mean less the median of the other lines' means, by day; None of a lone line.
    positions : mean of each position, less its line's of the day, and what they share: the spread.
    """

    days: Spread
    grid: tuple[float, ...]
    cumulated: tuple[float, ...]
    images: float
    ks: Spread | None
    psi: Spread | None
    against: Spread | None
    lots: Spread | None
    positions: Mapping[str, float]
    by_position: Spread | None


def learn(frame: pd.DataFrame, numbers: Sequence[str]) -> dict[str, dict[str, Cell]]:
    """By line and number, of images of the training window (rows of ``PLACES`` and numbers)."""
    found: dict[str, dict[str, Cell]] = {}
    others = contrasts(frame, numbers)
    for line, rows in by_line(frame):
        each = ((number, _cell_of(rows, number, others[number].get(line))) for number in numbers)
        own = {number: cell for number, cell in each if cell is not None}
        if own:
            found[line] = own
    return found


def by_line(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each line with its rows."""
    yield from frame.groupby(frame[names.LINE].fillna(NO_LINE), sort=True)


def contrasts(frame: pd.DataFrame, numbers: Sequence[str]) -> dict[str, dict[str, pd.Series]]:
    """By number and line: its mean of each day less the median of the other lines' of that day.

    What all lines have in common, as the light of a hall, is none of it.
    """
    lines = frame[names.LINE].fillna(NO_LINE)
    grouped = frame.groupby([names.CAPTURE_DATE, lines])[[*numbers]]
    means = grouped.mean().where(grouped.count() >= LEAST[names.CAPTURE_DATE])
    return {number: _contrasts(means[number].unstack()) for number in numbers}


def _contrasts(means: pd.DataFrame) -> dict[str, pd.Series]:
    values = means.to_numpy()
    found = {}
    for place, line in enumerate(means.columns if len(means.columns) > 1 else ()):
        others = np.delete(values, place, axis=1)
        known = ~np.isnan(values[:, place]) & ~np.isnan(others).all(axis=1)
        gaps = values[known, place] - np.nanmedian(others[known], axis=1)
        found[str(line)] = pd.Series(gaps, index=means.index[known])
    return found


def residuals(rows: pd.DataFrame, number: str) -> pd.DataFrame:
    """Each image's number less the mean of its day, for rows of one line."""
    known = rows[rows[number].notna()]
    days, values = pd.factorize(known[names.CAPTURE_DATE])[0], known[number].to_numpy(dtype=float)
    counts = np.bincount(days)
    gaps = values - (np.bincount(days, values) / np.maximum(counts, 1))[days]
    return known.assign(residual=gaps)


class Unit(NamedTuple):
    """The images of a day that have one value of a column: mean ``residual``, and how many."""

    name: str
    residual: float
    n: int


def units(known: pd.DataFrame, column: str) -> list[Unit]:
    """Each day and value of a column that has enough images, but isn't nearly all of its day.

    Parameters
    ----------
    known : answer of ``residuals``.
    """
    labels, values = pd.factorize(known[column])
    days, dates = pd.factorize(known[names.CAPTURE_DATE])
    there = labels >= 0
    codes = (labels * max(1, len(dates)) + days)[there]
    size = len(values) * len(dates)
    counts = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, known["residual"].to_numpy()[there], size)
    whole = np.tile(np.bincount(days, minlength=len(dates)), len(values))
    enough = (counts >= LEAST[column]) & (counts <= _MOST_OF_A_DAY * whole)
    return [
        Unit(str(values[code // len(dates)]), float(sums[code] / counts[code]), int(counts[code]))
        for code in np.flatnonzero(enough)
    ]


def _cell_of(rows: pd.DataFrame, number: str, against: pd.Series | None) -> Cell | None:
    known = residuals(rows, number)
    grouped = known.groupby(names.CAPTURE_DATE)[number]
    days = grouped.agg(["mean", "size"])
    days = days[days["size"] >= LEAST[names.CAPTURE_DATE]]
    within = float(np.sqrt((known["residual"] ** 2).mean())) if len(known) else 0.0
    spread_of_days = Spread.of(days["mean"], within=within, counts=days["size"])
    if spread_of_days is None:
        return None
    values = known[number].to_numpy(dtype=np.float64)
    points = spread.grid(values)
    by_day = [known.loc[known[names.CAPTURE_DATE] == day, number].to_numpy() for day in days.index]
    distances = _distances(by_day, points)
    lots = units(known, names.LOT)
    positions, shared = _positions(known, within)
    return Cell(
        days=spread_of_days,
        grid=tuple(points.tolist()),
        cumulated=tuple(spread.cumulated(values, points).tolist()),
        images=float(days["size"].median()),
        ks=Spread.of_logs([each[0] for each in distances]),
        psi=Spread.of_logs([each[1] for each in distances]),
        against=None if against is None else Spread.of(against),
        lots=Spread.of([u.residual for u in lots], within=within, counts=[u.n for u in lots]),
        positions=positions,
        by_position=shared,
    )


def _distances(
    by_day: Sequence[NDArray[np.float64]], points: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """KS and PSI of each day to all others."""
    counts = np.array([len(day) for day in by_day], dtype=np.float64)
    cumulated = np.array([spread.cumulated(day, points) for day in by_day])
    total = (cumulated * counts[:, np.newaxis]).sum(axis=0)
    found = []
    for own, count in zip(cumulated, counts, strict=True):
        others = (total - own * count) / (counts.sum() - count)
        found.append((spread.ks(own, others), spread.psi(own, others, int(count))))
    return found


def _positions(known: pd.DataFrame, within: float) -> tuple[dict[str, float], Spread | None]:
    """Mean of the most frequent positions, and the spread of their days around these."""
    each = units(known, names.POSITION)
    if not each:
        return {}, None
    found = pd.DataFrame(each, columns=list(Unit._fields))
    days = found.groupby("name")["residual"].transform("size")
    found = found[days >= spread.LEAST_DAYS]
    most = found.groupby("name")["n"].sum().nlargest(_MOST_POSITIONS).index
    found = found[found["name"].isin(most)]
    if found.empty:
        return {}, None
    means = found.groupby("name")["residual"].mean()
    gaps = found["residual"] - found["name"].map(means)
    freedom = len(found) - len(means)
    sd = float(np.sqrt((gaps**2).sum() / freedom))
    days_each = len(found) // len(means)
    shared = Spread(0.0, sd, days_each, freedom, within, float((1 / found["n"]).mean()))
    return {str(name): float(mean) for name, mean in means.items()}, shared
