"""A night against the training reference: what differs, by how much, and how likely by chance.

The budget of false alarms is shared out. A year has 365 nights; each night's share goes to four
families of tests in equal parts: means of lines, distributions of lines, lots and positions
against their line, and counts. Within a family every test gets the same part (Bonferroni), so that
all of them together stay within the budget however they depend on each other. What is less likely
than its part is an alarm; what is less likely than ten times it is a warning.

A mean may be far off in one night, or less far in two nights running: the less likely of both
counts, doubled. Days remember the day before, so the second night is taken for as likely as the
square root of its own chance.

Where there are several lines, the one that is furthest off is held against the others of the same
night, too: what they have in common, as a hall's light, hides it otherwise.

Lots and positions are held against their line's mean of the same night, so that a line that
darkens is named as the line, once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pcb_spark.core import names
from pcb_spark.lake import scopes
from pcb_spark.monitor import cells, counted, findings, spread
from pcb_spark.monitor.findings import Finding

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pcb_spark.lake.scopes import Scope
    from pcb_spark.monitor.cells import Cell
    from pcb_spark.monitor.findings import Level, Night
    from pcb_spark.monitor.reference import Reference

_NIGHTS_A_YEAR: Final = 365
_FAMILIES: Final = ("means", "distributions", "places", "counts")
#: How much oftener than an alarm a warning may be false.
_WARNINGS: Final = 10.0


def look(
    night: Night,
    known: Reference,
    *,
    false_alarms_per_year: float,
    before: Iterable[Finding] = (),
) -> list[Finding]:
    """Every test of a night, the least likely first, each with its level.

    Parameters
    ----------
    before : what the night before it gave by the same reference.
    """
    last = {each.key: each for each in before}
    tests_of = (*_of_images(night.images, known), *counted.tests(night, known))
    found = [_in_two_nights(each, last.get(each.key)) for each in tests_of]
    tests = Counter(each.family for each in found)
    share = false_alarms_per_year / _NIGHTS_A_YEAR / len(_FAMILIES)
    levelled = [replace(f, level=_level(f.p_value, share / tests[f.family])) for f in found]
    ranked = sorted(levelled, key=lambda each: each.p_value * tests[each.family])
    return [*ranked, *counted.news(night.seen, known.known)]


def _in_two_nights(now: Finding, before: Finding | None) -> Finding:
    alone = replace(now, p_night=now.p_value)
    if now.family != "means":
        return alone
    running = 1.0
    if before is not None and (before.effect > 0) == (now.effect > 0):
        running = max(now.p_value, before.p_night) ** 1.5
    return replace(alone, p_value=min(1.0, 2 * now.p_value, 2 * running))


def _level(p_value: float, part: float) -> Level:
    if p_value <= part:
        return findings.ALARM
    return findings.WARN if p_value <= _WARNINGS * part else ""


def _of_images(images: pd.DataFrame, known: Reference) -> Iterator[Finding]:
    for line, rows in cells.by_line(images):
        for number, cell in known.cells.get(line, {}).items():
            yield from _of_line(line or None, rows, number, cell)
    gaps = cells.contrasts(images, known.numbers) if len(images) else {}
    for number, found in gaps.items():
        yield from _against(images, number, found, known)


def _against(
    images: pd.DataFrame, number: str, found: Mapping[str, pd.Series], known: Reference
) -> Iterator[Finding]:
    """The line whose mean is furthest off, against the other lines of the night."""
    own_cells = {line: of[number] for line, of in known.cells.items() if number in of}
    usual = {line: cell.against for line, cell in own_cells.items() if cell.against is not None}
    gaps = {line: float(gap.iloc[0]) for line, gap in found.items() if len(gap) and line in usual}
    if not gaps:
        return
    own = {line: rows[number].dropna() for line, rows in cells.by_line(images) if line in gaps}
    line = max(own, key=lambda each: abs(own_cells[each].days.t(float(own[each].mean()))))
    cell, shared, n = own_cells[line], usual[line], len(own[line])
    yield Finding(
        family="means", scope=scopes.Scope(names.LINE, line) if line else scopes.OVERALL,
        line=line or None, number=number, statistic=findings.AGAINST, value=gaps[line],
        expected=shared.mean, effect=_deviations(gaps[line] - shared.mean, cell), n=n,
        p_value=shared.p_either(gaps[line]),
    )  # fmt: skip


def _of_line(line: str | None, rows: pd.DataFrame, number: str, cell: Cell) -> Iterator[Finding]:
    own = cells.residuals(rows, number)
    values = own[number].to_numpy(dtype=np.float64)
    n = len(values)
    if n < cells.LEAST[names.CAPTURE_DATE]:
        return
    scope = scopes.Scope(names.LINE, line) if line else scopes.OVERALL
    mean = float(values.mean())
    yield Finding(
        family="means", scope=scope, line=line, number=number, statistic=findings.MEAN, value=mean,
        expected=cell.days.mean, effect=_deviations(mean - cell.days.mean, cell), n=n,
        p_value=cell.days.p_either(mean, n),
    )  # fmt: skip
    yield from _distances(scope, line, number, values, cell)
    yield from _places(line, own, number, cell)


def _distances(
    scope: Scope, line: str | None, number: str, values: NDArray[np.float64], cell: Cell
) -> Iterator[Finding]:
    n = len(values)
    own = spread.cumulated(values, np.array(cell.grid))
    usual = np.array(cell.cumulated)
    fewer = min(1.0, n / cell.images)  # fewer images lie further off by chance alone
    for statistic, known, found, scale in (
        (findings.KS, cell.ks, spread.ks(own, usual), math.sqrt(fewer)),
        (findings.PSI, cell.psi, spread.psi(own, usual, n), fewer),
    ):
        if known is not None:
            yield Finding(
                family="distributions", scope=scope, line=line, number=number,
                statistic=statistic, value=found, expected=math.exp(known.mean), effect=found,
                p_value=known.p_above_log(found * scale), n=n,
            )  # fmt: skip


def _places(line: str | None, own: pd.DataFrame, number: str, cell: Cell) -> Iterator[Finding]:
    for column, shared, expected in (
        (names.LOT, cell.lots, {}),
        (names.POSITION, cell.by_position, cell.positions),
    ):
        if shared is None:
            continue
        for name, gap, n in cells.units(own, column):
            if column == names.POSITION and name not in expected:
                continue
            usual = expected.get(name, shared.mean)
            yield Finding(
                family="places", scope=scopes.Scope(column, " ".join(filter(None, (line, name)))),
                line=line, number=number, statistic=findings.MEAN, value=gap, expected=usual,
                effect=_deviations(gap - usual, cell), n=n,
                p_value=shared.p_either(gap - usual + shared.mean, n),
            )  # fmt: skip


def _deviations(gap: float, cell: Cell) -> float:
    return gap / cell.days.within if cell.days.within else 0.0
