"""When each rendered board passes which line: forward in time, lot after lot."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

POSITIONS = (
    ("R1", "chip_resistor"), ("R2", "chip_resistor"), ("C1", "chip_capacitor"),
    ("C2", "chip_capacitor"), ("C3", "tantalum"), ("C4", "electrolytic"),
    ("Q1", "sot23"), ("Q2", "sot23"), ("U1", "soic8"), ("U2", "soic8"),
)  # fmt: skip
"""Refdes and part of each position of a board, in the order in which the camera visits them."""

LINES = ("L1", "L2")
PRODUCTS = (("A7", "green"), ("B2", "blue"), ("C5", "red"), ("D1", "black"))
"""Board designs and their solder masks; each line makes every other one, lot after lot."""

_START = date(2026, 1, 5)  # a Monday
_DAYS_A_LOT = 3
_BOARD_PAUSE = 330.0  # seconds from one board to the next, both lines together
_SHIFT = 57_600.0  # seconds within which the day's boards start, so that none spans two days


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board: ``line`` and ``product`` index LINES and PRODUCTS, ``day`` counts from 0.

    ``positions`` is how many of POSITIONS were photographed.
    """

    board_id: str
    lot: str
    line: int
    product: int
    day: int
    started_at: datetime
    positions: int


def plan_boards(images: int, *, weeks: int) -> Iterator[Board]:
    """Spread the boards of so many images evenly over weeks of five working days."""
    boards, days = math.ceil(images / len(POSITIONS)), 5 * weeks
    pause = min(_BOARD_PAUSE, _SHIFT / math.ceil(boards / days))
    taken: Counter[int] = Counter()
    made: Counter[str] = Counter()
    for number in range(boards):
        day, line = number * days // boards, number % len(LINES)
        nth = day // _DAYS_A_LOT
        product = (line + nth * len(LINES)) % len(PRODUCTS)
        start = timedelta(seconds=int(taken[day] * pause))
        lot = f"{PRODUCTS[product][0]}L{1 + nth:02d}"
        taken[day] += 1
        made[lot] += 1
        yield Board(
            board_id=f"{lot}-{made[lot]:03d}",
            lot=lot,
            line=line,
            product=product,
            day=day,
            started_at=datetime.combine(_working_day(day), time(6), UTC) + start,
            positions=min(len(POSITIONS), images - number * len(POSITIONS)),
        )


def _working_day(day: int) -> date:
    return _START + timedelta(days=day // 5 * 7 + day % 5)
