"""How often a heat map is hottest where the defect is.

    python -m benchmarks.heatmaps --bundle out/run/bundle [--count 200] [--seed 7]

Renders components with one defect each, of every kind and severity in turn. A hit is a hottest
pixel inside the defect's box; ``chance`` is how often a random pixel would be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcb_spark.core import bundle, heatmaps, images, registration
from pcb_spark.demo.camera import jpeg
from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.render import Box, render_pair
from pcb_spark.network import pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One defect: its kind, whether the hottest pixel lies in its box, and the box's share."""

    defect: str
    hit: bool
    chance: float


def trials(mapper: heatmaps.HeatMapper, *, count: int, seed: int) -> Iterator[Trial]:
    """Render ``count`` defects, nothing of which is told to the model, and look for them."""
    kinds = [(part, defect) for part in sorted(PARTS) for defect in PARTS[part].defects]
    for number in range(count):
        part, defect = kinds[number % len(kinds)]
        rng = np.random.default_rng((seed, number))
        severity, day = float(rng.uniform()), float(rng.uniform(0, 30))
        pair = render_pair(rng, part=part, defect=defect, severity=severity, day=day)
        image = images.decode(jpeg(pair.image, pair.quality))
        reference = images.decode(jpeg(pair.reference, 92))
        # in the reference's brightness, as a model sees it, and uncut: the box stays where it is
        image = registration.matched(image, reference)
        place = heatmaps.hottest(mapper.heat(image, reference))
        box = _scaled(pair.defect_box or (0, 0, 0, 0), images.SIDE / pair.image.width)
        area = (box[2] - box[0]) * (box[3] - box[1]) / images.SIDE**2
        yield Trial(defect=defect, hit=place is not None and _inside(place, box), chance=area)


def _scaled(box: Box, factor: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left * factor, top * factor, right * factor, bottom * factor


def _inside(place: tuple[int, int], box: tuple[float, float, float, float]) -> bool:
    row, column = place[0] + 0.5, place[1] + 0.5
    left, top, right, bottom = box
    return left <= column < right and top <= row < bottom


def main() -> int:
    """Print the share of hits, in all and by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    mapper = pooled.mapper(bundle.read(options.bundle))
    found = list(trials(mapper, count=options.count, seed=options.seed))
    groups = {"all": found}
    for trial in found:
        groups.setdefault(trial.defect, []).append(trial)
    for name, group in groups.items():
        hits, chance = sum(t.hit for t in group), sum(t.chance for t in group)
        n = len(group)
        sys.stdout.write(f"{name:20} {hits / n:6.1%} of {n:3}, by chance {chance / n:.1%}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
