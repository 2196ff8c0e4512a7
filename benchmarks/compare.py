"""Ways against one another, in turn, so that a drifting clock speed meets all of them alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import models, peers, rounds, rows, ways

if TYPE_CHECKING:
    from benchmarks.rounds import Round
    from benchmarks.ways import Way

log = logging.getLogger("benchmarks")

#: Name, model and precision of a way.
Key = tuple[str, str, str]


def compare(found: Sequence[Way], repeats: int) -> list[rows.Row]:
    """Measure all ways in turn, ``repeats`` rounds; each round begins with another one."""
    for way in found:
        log.info("warm up %s", ", ".join(_key(way)))
        way.warm_up()
    took: dict[Key, list[Round]] = {_key(way): [] for way in found}
    for number in range(repeats):
        start = number % len(found)
        for way in (*found[start:], *found[:start]):
            one = way.measure()
            took[_key(way)].append(one)
            log.info("round %d: %s: %.1f", number + 1, ", ".join(_key(way)), one.rate)
    return [_row(way, repeats, took) for way in found]


def _key(way: Way) -> Key:
    return (way.name, way.model, way.precision)


def _row(way: Way, repeats: int, took: Mapping[Key, Sequence[Round]]) -> rows.Row:
    own = took[_key(way)]
    told = rounds.steady(own)
    limit = took.get((ways.LIMIT, way.model, way.precision))
    textbook = took.get((peers.TEXTBOOK, models.FULL, "fp32"))
    return rows.Row(
        way=way.name,
        stage=rows.SCORE,
        model=way.model,
        precision=way.precision,
        images_per_s=told.rate,
        ratio_to_limit=rounds.ratio(own, limit) if limit else None,
        ratio_to_textbook=rounds.ratio(own, textbook) if textbook else None,
        n=way.n,
        repeats=repeats,
        spread=told.spread,
        note=rounds.ABOVE_LIMIT if limit and rounds.above(own, limit) else told.note,
    )
