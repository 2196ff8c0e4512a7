"""How many known defects each shift found: of shifts, and of no single person.

Of a showing nobody knows whose it was. But a shift in which one person alone worked would still be
that person's figure, so such shifts of a day are counted together, and not at all where all of
them are one person's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import shifts
from pcb_spark.core.shifts import Shift
from pcb_spark.review import database, tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from sqlalchemy.engine import Connection, Engine

#: Fewer people make no figure.
LEAST_PEOPLE: Final = 2
#: Days on which a shift is still looked at, once it is over.
_DAYS: Final = 14

_SHOWINGS, _ENTRIES = tables.SHOWINGS.c, tables.ENTRIES.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigilance:
    """What one shift, or several of a day together, did with known defects.

    Attributes
    ----------
    shift : ``2026-03-04 early``, or ``2026-03-04 early, late``.
    caught, shown : of so many that were answered.
    """

    shift: str
    caught: int
    shown: int


def by_shift(engine: Engine, timezone: str, now: datetime) -> list[Vigilance]:
    """What the shifts of the last days did, of days that are over."""
    since = tables.text_of(now - timedelta(days=_DAYS))
    answers = sa.select(_SHOWINGS.answered_at, _SHOWINGS.caught).where(
        _SHOWINGS.answered_at >= since, _SHOWINGS.caught.is_not(None)
    )
    said = sa.select(_ENTRIES.entered_at, _ENTRIES.operator_id).where(_ENTRIES.entered_at >= since)
    with database.reading(engine) as connection:
        caught = _grouped(connection, answers, timezone)
        people = _grouped(connection, said, timezone)
    days = sorted({shift.day for shift in caught if shifts.is_over(shift.day, now, timezone)})
    return [each for day in days for each in _of_day(day, caught, people)]


def _grouped(
    connection: Connection, query: sa.Select[Any], timezone: str
) -> dict[Shift, list[Any]]:
    found: dict[Shift, list[Any]] = defaultdict(list)
    for moment, value in connection.execute(query):
        found[shifts.of(datetime.fromisoformat(moment), timezone)].append(value)
    return found


def _of_day(
    day: date, caught: Mapping[Shift, list[bool]], people: Mapping[Shift, list[str]]
) -> Iterator[Vigilance]:
    own = [shift for _, name in _in_order() if (shift := Shift(day, name)) in caught]
    enough = [shift for shift in own if _several(people.get(shift, []))]
    rest = [shift for shift in own if shift not in enough]
    together = [who for shift in rest for who in people.get(shift, [])]
    groups = [[shift] for shift in enough] + ([rest] if rest and _several(together) else [])
    for group in groups:
        counted = Counter(found for shift in group for found in caught[shift])
        names = ", ".join(shift.name for shift in group)
        yield Vigilance(shift=f"{day} {names}", caught=counted[True], shown=counted.total())


def _in_order() -> list[tuple[int, str]]:
    """The night first: it began the evening before."""
    return [shifts.HOURS[-1], *shifts.HOURS[:-1]]


def _several(people: Iterable[str]) -> bool:
    return len(set(people)) >= LEAST_PEOPLE
