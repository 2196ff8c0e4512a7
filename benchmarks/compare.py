"""Ways against one another, in turn, so that a drifting clock speed meets all of them alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import models, peers, rows, ways

if TYPE_CHECKING:
    from benchmarks.ways import Way

log = logging.getLogger("benchmarks")

#: Name, model and precision of a way.
Key = tuple[str, str, str]


def compare(found: Sequence[Way], repeats: int) -> list[rows.Row]:
    """Measure all ways in turn, ``repeats`` rounds; each round begins with another one."""
    for way in found:
        log.info("warm up %s", ", ".join(_key(way)))
        way.warm_up()
    rates: dict[Key, list[float]] = {_key(way): [] for way in found}
    for number in range(repeats):
        start = number % len(found)
        for way in (*found[start:], *found[:start]):
            rates[_key(way)].append(way.measure())
            log.info("round %d: %s: %.1f", number + 1, ", ".join(_key(way)), rates[_key(way)][-1])
    return [_row(way, repeats, rates) for way in found]


def _key(way: Way) -> Key:
    return (way.name, way.model, way.precision)


def _row(way: Way, repeats: int, rates: Mapping[Key, Sequence[float]]) -> rows.Row:
    own = rates[_key(way)]
    limit = rates.get((ways.LIMIT, way.model, way.precision))
    textbook = rates.get((peers.TEXTBOOK, models.FULL, "fp32"))
    return rows.Row(
        way=way.name,
        stage=rows.SCORE,
        model=way.model,
        precision=way.precision,
        images_per_s=rows.median(own),
        ratio_to_limit=rows.ratios(own, limit) if limit else None,
        ratio_to_textbook=rows.ratios(own, textbook) if textbook else None,
        n=way.n,
        repeats=repeats,
        spread=rows.spread(own),
    )
