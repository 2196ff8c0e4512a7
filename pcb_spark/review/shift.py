"""What a lead sees of a shift: the queue, what was found where, and whether anybody still looks.

No figure is of a person, and none tells people apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, policy
from pcb_spark.review import database, exports, known, queue, tables, vigilance

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_QUEUE, _ITEMS, _ENTRIES = tables.QUEUE.c, tables.ITEMS.c, tables.ENTRIES.c
_LONGEST: Final = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a Pareto chart: true defects and false calls of a position, part or kind."""

    name: str
    fail: int
    passed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The figures of a shift.

    Attributes
    ----------
    waiting, second_opinions : items that nobody has decided; of these, for a second opinion.
    oldest : when the oldest of them was captured.
    decided : verdicts since the shift's beginning, by state.
    slips : true defects among the images that the model had cleared, drawn for control or audit.
    known_caught, known_shown : known defects that were caught, and that were answered at all; None
        where fewer people worked than make a figure of several.
    """

    since: str
    waiting: int
    second_opinions: int
    oldest: str | None
    decided: dict[str, int]
    slips: int
    known_caught: int | None
    known_shown: int | None
    positions: list[Bar]
    part_numbers: list[Bar]
    kinds: list[Bar]


def figures(engine: Engine, since: str) -> Shift:
    """Count what happened since a moment, and what waits now."""
    waiting, second, oldest = _waiting(engine)
    entries = list(exports.said(engine, since))
    caught, shown = _vigilance(engine, since)
    return Shift(
        since=since, waiting=waiting, second_opinions=second, oldest=oldest,
        decided=dict(Counter(entry["state"] for entry in entries)),
        slips=sum(
            entry[names.DECISION] == policy.PASS and entry[names.VERDICT] == names.VERDICT_FAIL
            for entry in entries
        ),
        known_caught=caught, known_shown=shown,
        positions=_bars((entry[names.POSITION], entry) for entry in entries),
        part_numbers=_bars((entry[names.PART_NUMBER], entry) for entry in entries),
        kinds=_bars(
            (kind, entry) for entry in entries for kind in (entry[names.DEFECTS] or "").split("|")
        ),
    )  # fmt: skip


def _vigilance(engine: Engine, since: str) -> tuple[int | None, int | None]:
    people = sa.select(sa.func.count(sa.distinct(_ENTRIES.operator_id)))
    with database.reading(engine) as connection:
        several = connection.scalar(people.where(_ENTRIES.entered_at >= since)) or 0
    return known.caught(engine, since) if several >= vigilance.LEAST_PEOPLE else (None, None)


def look(engine: Engine, operator_id: str, what: str) -> None:
    """Keep who looked at figures, or took them away."""
    row = {"looked_at": tables.now(), "operator_id": operator_id, "what": what}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.LOOKS), row)


def _waiting(engine: Engine) -> tuple[int, int, str | None]:
    query = (
        sa.select(
            sa.func.count(),
            sa.func.count(sa.case((_QUEUE.status == queue.SECOND, 1))),
            sa.func.min(_ITEMS.captured_at),
        )
        .join_from(tables.QUEUE, tables.ITEMS, _QUEUE.item_id == _ITEMS.item_id)
        .where(_QUEUE.status != queue.DONE)
    )
    with database.reading(engine) as connection:
        count, second, oldest = connection.execute(query).one()
    return int(count), int(second), oldest


def _bars(named: Iterable[tuple[str | None, dict[str, Any]]]) -> list[Bar]:
    """The longest bars, true defects first; what has no name is left out."""
    found: dict[str, Counter[str]] = {}
    for name, entry in named:
        if name:
            found.setdefault(name, Counter())[entry[names.VERDICT]] += 1
    bars = [
        Bar(name, counts[names.VERDICT_FAIL], counts[names.VERDICT_PASS])
        for name, counts in found.items()
    ]
    bars.sort(key=lambda bar: (-bar.fail, -bar.passed, bar.name))
    return bars[:_LONGEST]
