"""Which rule keeps its promise for the defects that come, and what it costs: ``make promise``.

    python -m benchmarks.promise [--worlds 3200] [--seed 0] [--out-of-fold TABLE]

Each rule chooses a threshold on the history of each simulated world (``benchmarks.worlds``) and
decides the images that come. A world is within the promise where at most 4 of the next 4 / rate
defects slip. With a table ``out_of_fold`` real scores are replayed as well (``benchmarks.replay``).
Some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import replay, rules, worlds
from benchmarks.rules import RATES, RULES

if TYPE_CHECKING:
    from benchmarks.rules import Outcome, Rule
    from benchmarks.worlds import Images, Plant

#: From fewer defects than this a share of slips says too little to be compared between folds.
_DEFECTS_TO_COMPARE = 1000


def dispersion(past: Images, share: float) -> float:
    """How much slips differ between folds: their variance over that of independent defects."""
    defects = past[past.is_fail]
    slips = defects.score < np.quantile(defects.score, share)
    fold = defects.night // worlds.NIGHTS_A_FOLD
    sizes = np.bincount(fold)
    expected = sizes * slips.mean()
    squares = (np.bincount(fold, slips) - expected) ** 2 / (expected * (1 - slips.mean()))
    return float(squares.sum() / (len(sizes) - 1))


def table(title: str, found: Iterable[Outcome]) -> str:
    """Lay out what each rule did, at each rate."""
    outcomes = list(found)
    cases = len(outcomes) // len(RULES) // len(RATES)
    columns = [
        f"{name}, {rate:.0%}"
        for name in ("next 4 / rate", "next fold", "cleared")
        for rate in RATES
    ]
    lines = [" | ".join([f"| {title}, n = {cases:,}", *columns]) + " |"]
    lines.append("| --- " * (len(columns) + 1) + "|")
    for rule in RULES:
        own = [[each for each in outcomes if each.of(rule, rate)] for rate in RATES]
        cells = [f"{np.mean([each.next_held for each in some]):.3f}" for some in own]
        cells += [f"{np.mean([each.fold_held for each in some]):.3f}" for some in own]
        cells += [f"{100 * np.mean([each.cleared for each in some]):.0f} %" for some in own]
        lines.append(" | ".join([f"| {rule.name}", *cells]) + " |")
    return "\n".join(lines)


def by_plant(found: Mapping[Plant, Sequence[Outcome]]) -> str:
    """Lay out the share of worlds within the promise at each rate, by what changes in them."""
    rates = ", ".join(f"{rate:.0%}" for rate in RATES)
    lines = [" | ".join([f"| next 4 / rate, {rates}", *(rule.name for rule in RULES)]) + " |"]
    lines.append("| --- " * (len(RULES) + 1) + "|")
    for plant, outcomes in found.items():
        cells = [", ".join(_held(outcomes, rule, rate) for rate in RATES) for rule in RULES]
        lines.append(" | ".join([f"| {plant.name}", *cells]) + " |")
    return "\n".join(lines)


def _held(outcomes: Sequence[Outcome], rule: Rule, rate: float) -> str:
    return f"{np.mean([each.next_held for each in outcomes if each.of(rule, rate)]):.2f}"


def _dispersions(count: int, seed: int) -> str:
    """Say how much folds differ in worlds that hold defects enough to tell."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for plant, world in rules.drawn(count, seed=seed):
        if np.count_nonzero(world.past.is_fail) >= _DEFECTS_TO_COMPARE:
            found[plant.drift].append(dispersion(world.past, RATES[0]))
    told = [
        f"{np.mean(some):.1f} with{'' if drift else 'out'} drift (n = {len(some)})"
        for drift, some in found.items()
        if some
    ]
    return f"dispersion of slips between folds: {', '.join(told) or 'too few defects to tell'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and write tables to standard output."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.worlds < len(worlds.PLANTS):
        parser.error(f"--worlds: {len(worlds.PLANTS)} at least, one of each plant")
    found = rules.simulate(options.worlds, seed=options.seed)
    parts = [
        table(title, (each for plant in found if plant.unseen == unseen for each in found[plant]))
        for title, unseen in (("no unseen kind", False), ("an unseen kind", True))
    ]
    parts += [by_plant(found), _dispersions(options.worlds, options.seed)]
    if options.out_of_fold is not None:
        real = replay.read(options.out_of_fold)
        title = f"lots in {replay.ORDERS} orders"
        parts += [table(title, replay.by_lot(real)), replay.forward(real)]
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promise", description=__doc__)
    parser.add_argument("--worlds", type=int, default=3200, help="how many, of all plants")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    parser.add_argument("--out-of-fold", type=Path, default=None, help="a table of that name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
