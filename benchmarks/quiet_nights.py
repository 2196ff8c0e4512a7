"""How often quiet nights raise an alarm, and how soon a line that darkens does, simulated.

    make quiet-nights

A plant has three lines, each with lots, positions and eleven numbers an image. Its days differ by
themselves, with heavier tails than the normal distribution's and a memory of the day before, and
volumes, unscorable images and lags of verdicts differ as well. The monitor learns from its first
days, then watches nights of which none is any different; then one line darkens.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from pcb_spark.core import names
from pcb_spark.monitor import drift, findings, reference
from pcb_spark.monitor.findings import Night

if TYPE_CHECKING:
    from pcb_spark.monitor.findings import Finding
    from pcb_spark.monitor.reference import Reference

LINES: Final = ("L1", "L2", "L3")
NUMBERS: Final = (names.PROBABILITY, "brightness", "sharpness", *(f"feature_{n}" for n in range(8)))
BUDGET: Final = 2.0
FIRST: Final = date(2026, 1, 5)
_POSITIONS: Final = 12
#: Of the days' spread, in standard deviations of single images, and how much of it lasts.
_DAYS, _MEMORY, _TAILS = 0.15, 0.3, 6
#: A line that darkens loses so many standard deviations of its brightness.
DARKER: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What became of a plant's nights.

    Attributes
    ----------
    nights, alarms : quiet ones, and alarms in them.
    warnings : in them.
    noticed_after : nights until an alarm named the darkened line, None where none of two did.
    others : lines that an alarm of these nights named besides.
    """

    nights: int
    alarms: int
    warnings: int
    noticed_after: int | None
    others: frozenset[str]


class Plant:
    """Days of numbers, each line's around a level of its own that wanders with a memory."""

    def __init__(self, seed: int, images: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._images = images
        shape = (len(LINES), len(NUMBERS))
        self._usual = self._rng.normal(0, 1, shape)
        self._positions = self._rng.normal(0, 0.5, (_POSITIONS, len(NUMBERS)))
        self._wander = np.zeros(shape)

    def day(self, number: int, darker: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Images of one day, and counts by line."""
        rng = self._rng
        step = rng.standard_t(_TAILS, self._wander.shape) * _DAYS
        self._wander = _MEMORY * self._wander + np.sqrt(1 - _MEMORY**2) * step
        frames = [self._line(place, number, darker) for place in range(len(LINES))]
        images = rng.poisson(np.exp(rng.normal(np.log(2_000), 0.2, len(LINES))))
        failed = rng.binomial(images, rng.beta(2, 998, len(LINES)))
        counts = pd.DataFrame({names.LINE: LINES, "count": images, "unscorable": failed})
        return pd.concat(frames, ignore_index=True), counts

    def unreadable(self) -> int:
        """Files of a day that are no images."""
        return int(self._rng.binomial(6_000, self._rng.beta(1, 1_999)))

    def lag(self) -> float:
        """Median hours until a verdict."""
        return float(np.exp(self._rng.normal(np.log(9), 0.3)))

    def _line(self, place: int, number: int, darker: float) -> pd.DataFrame:
        rng, n = self._rng, self._images
        position, lot = rng.integers(0, _POSITIONS, n), rng.integers(0, 3, n)
        of_lot = rng.normal(0, 0.1, (3, len(NUMBERS)))[lot]
        values = self._usual[place] + self._wander[place] + self._positions[position] + of_lot
        values = values + rng.normal(0, 1, (n, len(NUMBERS)))
        if LINES[place] == "L2":
            values[:, NUMBERS.index("brightness")] -= darker
        values[:, 0] = 1 / (1 + np.exp(4 - 2 * values[:, 0]))
        return pd.DataFrame(values, columns=list(NUMBERS)).assign(**{
            names.CAPTURE_DATE: FIRST + timedelta(days=number),
            names.LINE: LINES[place],
            names.LOT: [f"{number}-{LINES[place]}-{each}" for each in lot],
            names.POSITION: [f"R{each}" for each in position],
        })  # fmt: skip


def learn(plant: Plant, days: int) -> Reference:
    """Let a reference learn from so many days."""
    made = [plant.day(number) for number in range(days)]
    dates = [FIRST + timedelta(days=number) for number in range(days)]
    counts = [
        each.assign(**{names.CAPTURE_DATE: day}) for day, (_, each) in zip(dates, made, strict=True)
    ]
    return reference.learn(
        pd.concat([images for images, _ in made], ignore_index=True),
        pd.concat(counts, ignore_index=True),
        numbers=NUMBERS,
        unreadable={day: plant.unreadable() for day in dates},
        lag_hours=[plant.lag() for _ in dates],
    )


def watch(seed: int, *, days: int, nights: int, images: int, budget: float = BUDGET) -> Watched:
    """Watch so many quiet nights of a plant, then two of which line L2 is darker."""
    plant = Plant(seed, images)
    known = learn(plant, days)
    last: list[Finding] = []
    found = [last := _look(plant, known, days + n, last, budget) for n in range(nights)]
    quiet = [each for night in found for each in night]
    dark = [last := _look(plant, known, days + nights + n, last, budget, DARKER) for n in range(2)]
    named = [{each.line for each in found if each.level == findings.ALARM} for found in dark]
    return Watched(
        nights=nights,
        alarms=sum(each.level == findings.ALARM for each in quiet),
        warnings=sum(each.level == findings.WARN for each in quiet),
        noticed_after=next((n for n, lines in enumerate(named, 1) if "L2" in lines), None),
        others=frozenset(line or "all" for line in set().union(*named) - {"L2"}),
    )


def _look(
    plant: Plant,
    known: Reference,
    number: int,
    before: Sequence[Finding],
    budget: float,
    darker: float = 0.0,
) -> list[Finding]:
    images, counts = plant.day(number, darker)
    night = Night(
        images=images, counts=counts, unreadable=plant.unreadable(), lag_hours=plant.lag(),
        near=None,
    )  # fmt: skip
    return drift.look(night, known, false_alarms_per_year=budget, before=before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a plant's years would be like, by how many days the monitor has learnt from."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--plants", type=int, default=10)
    parser.add_argument("--nights", type=int, default=200, help="quiet ones of each plant")
    parser.add_argument("--images", type=int, default=200, help="looked at, of a line and night")
    parser.add_argument("--days", type=int, nargs="+", default=[10, 20, 40], help="learnt from")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    say = sys.stdout.write
    say(f"budget {BUDGET:g} false alarms a year; {wanted.plants} plants, {wanted.nights} nights\n")
    say("days learnt   false alarms a year (warnings)   darker line named, in nights   others\n")
    for days in wanted.days:
        found = [
            watch(wanted.seed + seed, days=days, nights=wanted.nights, images=wanted.images)
            for seed in range(wanted.plants)
        ]
        say(f"{_row(days, found)}\n")
    return 0


def _row(days: int, found: Sequence[Watched]) -> str:
    years = sum(each.nights for each in found) / 365
    alarms, warnings = (sum(getattr(f, what) for f in found) for what in ("alarms", "warnings"))
    soon = [each.noticed_after for each in found if each.noticed_after is not None]
    others = ", ".join(sorted(set().union(*(each.others for each in found)))) or "none"
    return (
        f"{days:11}   {alarms / years:19.2f} ({warnings / years:8.2f})   "
        f"{len(soon):10} of {len(found)}, {max(soon, default=0)} at most   {others}"
    )


if __name__ == "__main__":
    sys.exit(main())
