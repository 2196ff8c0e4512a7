"""Figures of groups of people, and how often two of them disagreed: off unless a plant asks.

They are of whole days that are over and of a period that nobody chooses, so that no two of them
differ by what one person did. A group is told of where at least five of its people worked, and at
least five others or nobody else: what all did less the group's would be theirs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from pcb_spark.core import names, verifications
from pcb_spark.review import database, exports, tables, verdicts

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

#: Fewer people make no figure.
LEAST_PEOPLE: Final = 5
#: Whole days, UTC, that figures are of.
DAYS: Final = 28

_ENTRIES: Final = tables.ENTRIES.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What a group said; None where fewer than five of it worked, or fewer than five others."""

    name: str
    fail: int | None
    passed: int | None
    unsure: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is told of groups.

    Attributes
    ----------
    since, until : the first moment, and the first one behind.
    wanted : whether disagreements are told of.
    differ, twice : images on which two people disagreed, of those that two decided; None where
        fewer than five people decided these.
    """

    since: str
    until: str
    groups: list[Group]
    wanted: bool
    differ: int | None
    twice: int | None


def figures(
    engine: Engine,
    groups: Mapping[str, Collection[str]],
    now: datetime,
    *,
    disagreements: bool,
) -> Figures:
    """Count what was said in the last whole days.

    Parameters
    ----------
    groups : the pseudonyms of the people of each.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = (tables.text_of(each) for each in (today - timedelta(days=DAYS), today))
    said = _said(engine, since, until) if groups or disagreements else []
    differ, twice = _disagreements(said) if disagreements else (None, None)
    return Figures(
        since=since, until=until, groups=[_group(name, of, said) for name, of in groups.items()],
        wanted=disagreements, differ=differ, twice=twice,
    )  # fmt: skip


def table(found: Figures) -> Iterator[list[str]]:
    """The same for a spreadsheet."""
    yield ["group", "since", "until", "fail", "pass", "unsure"]
    for each in found.groups:
        counts = (each.fail, each.passed, each.unsure)
        told = ["" if count is None else str(count) for count in counts]
        yield [exports.plain(each.name), found.since, found.until, *told]


def _said(engine: Engine, since: str, until: str) -> list[dict[str, Any]]:
    query = sa.select(
        _ENTRIES.item_id, _ENTRIES.state, _ENTRIES.verdict, _ENTRIES.operator_id
    ).where(
        _ENTRIES.entered_at >= since, _ENTRIES.entered_at < until, ~verdicts.undone(),
        _ENTRIES.state.not_in((verdicts.UNDO, verifications.NOT_VERIFIED)),
    )  # fmt: skip
    with database.reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _group(name: str, of: Collection[str], said: Sequence[Mapping[str, Any]]) -> Group:
    everybody = {each[names.OPERATOR_ID] for each in said}
    others = len(everybody - set(of))
    if len(everybody & set(of)) < LEAST_PEOPLE or 0 < others < LEAST_PEOPLE:
        return Group(name=name, fail=None, passed=None, unsure=None)
    counts = Counter(each[names.VERDICT] for each in said if each[names.OPERATOR_ID] in of)
    return Group(
        name=name, fail=counts[names.VERDICT_FAIL], passed=counts[names.VERDICT_PASS],
        unsure=counts[None],
    )  # fmt: skip


def _disagreements(said: Sequence[Mapping[str, Any]]) -> tuple[int | None, int | None]:
    by_item: dict[str, dict[str, str]] = defaultdict(dict)
    for each in said:
        if each[names.VERDICT]:
            by_item[each["item_id"]][each[names.OPERATOR_ID]] = each[names.VERDICT]
    twice = [of for of in by_item.values() if len(of) > 1]
    if len({who for of in twice for who in of}) < LEAST_PEOPLE:
        return None, None
    return sum(len(set(of.values())) > 1 for of in twice), len(twice)
