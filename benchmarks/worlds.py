"""Simulated plants, to see which rule keeps its promise where lots, light and defects change.

A world is a history of nights in four folds, all of it verified, and the nights that come after.
Scores are made of normal ones, as distances from where false calls lie: 0 for these, about 3 for
defects, whose five kinds differ. On top of that a world may have

- lots that differ: each shifts its defects and its false calls, and has its own mix of kinds;
- drift: each fold shifts all scores together and defects once more by themselves, and remembers
  half of the shift before; the share of false calls changes as well;
- a kind of defect that the history doesn't have, closer to false calls than the others.

How much lots and folds shift is drawn for each world. Half a standard deviation doubles the slips
at a threshold that lets 2 % slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NIGHTS_A_FOLD = 5
PAST_FOLDS = 4
_KINDS = 5
#: Defects that come, at least: as many as a promise of 2 % speaks of.
_COMING = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What changes in a world."""

    drift: bool
    lots: bool
    unseen: bool

    @property
    def name(self) -> str:
        """What changes, in words."""
        changing = [
            word
            for word, there in (
                ("drift", self.drift), ("lots", self.lots), ("an unseen kind", self.unseen),
            )
            if there
        ]  # fmt: skip
        return " and ".join(changing) or "nothing"


#: Every combination.
PLANTS = tuple(
    Plant(drift=drift, lots=lots, unseen=unseen)
    for unseen, drift, lots in product((False, True), repeat=3)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Scores and verdicts (n,) in the order of time; ``night`` counts up from 0, ``lot`` too."""

    score: NDArray[np.float32]
    is_fail: NDArray[np.bool_]
    night: NDArray[np.int64]
    lot: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.bool_]) -> Images:
        return Images(
            score=self.score[rows],
            is_fail=self.is_fail[rows],
            night=self.night[rows],
            lot=self.lot[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What was seen, and what comes: at least 200 defects, and one fold of nights."""

    past: Images
    coming: Images


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What doesn't change within a world; shifts are standard deviations."""

    defects_a_night: float
    good_a_defect: float
    distances: Floats
    mix: Floats
    lot_shift: float
    fold_shift: float
    common: float
    unseen_share: float


def world(rng: np.random.Generator, plant: Plant) -> World:
    """Draw one world."""
    line = _line(rng, plant)
    coming = max(NIGHTS_A_FOLD, int(np.ceil(1.5 * _COMING / line.defects_a_night)))
    folds = PAST_FOLDS + -(-coming // NIGHTS_A_FOLD)
    shifts = _fold_shifts(rng, line, folds)
    first = PAST_FOLDS * NIGHTS_A_FOLD
    nights = [
        _night(rng, line, night, shifts[night // NIGHTS_A_FOLD], is_past=night < first)
        for night in range(folds * NIGHTS_A_FOLD)
    ]
    every = Images(
        score=np.concatenate([night.score for night in nights]),
        is_fail=np.concatenate([night.is_fail for night in nights]),
        night=np.concatenate([night.night for night in nights]),
        lot=np.concatenate([night.lot for night in nights]),
    )
    return World(past=every[every.night < first], coming=every[every.night >= first])


def _line(rng: np.random.Generator, plant: Plant) -> _Line:
    new = [rng.uniform(0.3, 2.3)] if plant.unseen else []
    return _Line(
        defects_a_night=float(np.exp(rng.uniform(np.log(3), np.log(75)))),
        good_a_defect=float(np.exp(rng.uniform(np.log(0.7), np.log(3)))),
        distances=np.array([*rng.normal(3.2, 0.8, _KINDS), *new]),
        mix=rng.dirichlet(np.full(_KINDS, 1.5)),
        lot_shift=rng.uniform(0.1, 0.6) if plant.lots else 0.0,
        fold_shift=rng.uniform(0.2, 0.7) if plant.drift else 0.0,
        common=rng.random(),
        unseen_share=rng.uniform(0.03, 0.15) if plant.unseen else 0.0,
    )


def _fold_shifts(rng: np.random.Generator, line: _Line, folds: int) -> Floats:
    """Shift of false calls, shift of defects and log of the false calls' number: (folds, 3)."""
    own = rng.normal(0, 1, (folds, 3))
    for fold in range(1, folds):
        own[fold] = 0.5 * own[fold - 1] + np.sqrt(0.75) * own[fold]
    together, alone = (line.fold_shift * np.sqrt(part) for part in (line.common, 1 - line.common))
    good = together * own[:, 0]
    return np.stack([good, good + alone * own[:, 1], line.fold_shift * own[:, 2]], axis=1)


def _night(
    rng: np.random.Generator, line: _Line, night: int, shift: Floats, *, is_past: bool
) -> Images:
    lots = rng.integers(1, 4)
    parts = [_lot(rng, line, lots, shift, is_past=is_past) for _ in range(lots)]
    sizes = [len(scores) for scores, _ in parts]
    order = rng.permutation(sum(sizes))
    latent = np.concatenate([scores for scores, _ in parts])[order]
    return Images(
        score=(1 / (1 + np.exp(1.6 - latent))).astype(np.float32),
        is_fail=np.concatenate([fails for _, fails in parts])[order],
        night=np.full(sum(sizes), night),
        lot=(3 * night + np.repeat(np.arange(lots), sizes))[order],
    )


def _lot(
    rng: np.random.Generator, line: _Line, lots: int, shift: Floats, *, is_past: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Give scores and verdicts of one lot of a night of ``lots``."""
    defects = rng.poisson(line.defects_a_night / lots)
    good = rng.poisson(line.defects_a_night * line.good_a_defect * np.exp(shift[2]) / lots)
    mix = rng.dirichlet(8 * line.mix + 0.01) if line.lot_shift else line.mix
    kinds = rng.choice(_KINDS, defects, p=mix)
    if not is_past:
        kinds[rng.random(defects) < line.unseen_share] = len(line.distances) - 1
    of_good, of_defects = rng.normal(0, line.lot_shift, 2) + shift[:2]
    latent = np.concatenate([
        rng.normal(of_good, 1, good),
        line.distances[kinds] + of_defects + rng.normal(0, 1, defects),
    ])  # fmt: skip
    return latent, np.repeat([False, True], [good, defects])
