"""The rules that are compared, and what each does in one history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from benchmarks import worlds
from pcb_spark.core import share_cap
from pcb_spark.learning import next_defects
from pcb_spark.learning.promise import SLIPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.worlds import Images, Plant, World

RATES = (0.02, 0.05)
CONFIDENCE = 0.95
#: Slips that are counted against every rule, whatever it promises itself.
NEXT_SLIPS = SLIPS["next"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a threshold is chosen on the history's defects, and whether the share cap lowers it.

    ``margin`` is that of the cap, in standard errors; None where there is no cap.
    """

    name: str
    choose: Callable[[Images, float], float]
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one rule did in one world.

    Attributes
    ----------
    next_held : at most 4 of the next 4 / rate defects slipped.
    fold_held : no larger share than the rate slipped in the next fold.
    cleared : share of good images cleared in the next fold.
    """

    rule: str
    rate: float
    next_held: bool
    fold_held: bool
    cleared: float

    def of(self, rule: Rule, rate: float) -> bool:
        """Whether this is what ``rule`` did at ``rate``."""
        return (self.rule, self.rate) == (rule.name, rate)


def choose_mean(defects: Images, rate: float) -> float:
    """Bound the mean slip rate by Clopper and Pearson, as if all defects were independent."""
    ranked = np.sort(defects.score)
    slips = np.arange(len(ranked))
    within = betaincinv(slips + 1, len(ranked) - slips, CONFIDENCE) <= rate
    return float(ranked[np.count_nonzero(within) - 1]) if within.any() else 0.0


def choose_next(defects: Images, rate: float) -> float:
    """Choose by the rule "next"."""
    return next_defects.choose_next(defects.score, max_slip_rate=rate, confidence=CONFIDENCE).value


def choose_lot(defects: Images, rate: float) -> float:
    """Choose by the rule "lot"."""
    lots = [str(lot) for lot in defects.lot]
    chosen = next_defects.choose_lot(defects.score, lots, max_slip_rate=rate, confidence=CONFIDENCE)
    return chosen.value


_CAPS: tuple[tuple[str, float | None], ...] = (
    ("", None), (", share cap", 0.0), (", share cap with margin", 1.0),
)  # fmt: skip
RULES = tuple(
    Rule(name=name + suffix, choose=choose, margin=margin)
    for name, choose in (("mean", choose_mean), ("next", choose_next), ("lot", choose_lot))
    for suffix, margin in _CAPS
)


def judge(world: World, rule: Rule, rate: float) -> Outcome:
    """Let a rule choose on what was seen, and count on what comes."""
    past, coming = world.past, world.coming
    chosen = rule.choose(past[past.is_fail], rate)
    cleared = decide(world, chosen, rule.margin)
    slipped = cleared[coming.is_fail][: round(NEXT_SLIPS / rate)]
    fold = coming.night < coming.night[0] + worlds.NIGHTS_A_FOLD
    return Outcome(
        rule=rule.name,
        rate=rate,
        next_held=bool(np.count_nonzero(slipped) <= NEXT_SLIPS),
        fold_held=_share(cleared[fold & coming.is_fail]) <= rate,
        cleared=_share(cleared[fold & ~coming.is_fail]),
    )


def decide(world: World, chosen: float, margin: float | None) -> NDArray[np.bool_]:
    """Say which images that come are cleared; each night's cap is that of the night before."""
    past, coming = world.past, world.coming
    if margin is None:
        return coming.score < np.float32(chosen)
    share = share_cap.share_below(past.score, chosen)
    before = past.score[past.night == past.night[-1]]
    cleared = np.zeros(len(coming.score), dtype=np.bool_)
    for night in np.unique(coming.night):
        rows = coming.night == night
        wanted = share_cap.with_margin(
            share, night=len(before), evidence=len(past.score), errors=margin
        )
        served = min(chosen, share_cap.cap(before, wanted).value)
        cleared[rows] = coming.score[rows] < np.float32(served)
        before = coming.score[rows]
    return cleared


def simulate(
    count: int, *, seed: int = 0, rules: Sequence[Rule] = RULES, rates: Sequence[float] = RATES
) -> dict[Plant, list[Outcome]]:
    """Judge rules in ``count`` worlds, as many of each plant."""
    found: dict[Plant, list[Outcome]] = {plant: [] for plant in worlds.PLANTS}
    for plant, world in drawn(count, seed=seed):
        found[plant] += [judge(world, rule, rate) for rule in rules for rate in rates]
    return found


def drawn(count: int, *, seed: int) -> Iterator[tuple[Plant, World]]:
    """Draw ``count`` worlds, the same ones for the same seed."""
    for index in range(count):
        plant = worlds.PLANTS[index % len(worlds.PLANTS)]
        yield plant, worlds.world(np.random.default_rng([seed, index]), plant)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else 0.0
