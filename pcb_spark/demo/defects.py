"""The defect kinds: each turns a good unit into a defective one, from just visible to plain.

Severity 0 lies just beyond the placement and solder tolerance of ``units.good_unit``,
severity 1 is what nobody overlooks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pcb_spark.core.errors import ConfigError
from pcb_spark.demo.units import Bridge, Unit

Damage = Callable[[np.random.Generator, Unit, float], Unit]


def _missing(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    # A part that was never placed leaves the printed paste; the later it fell off, the less.
    left = _between(1.0, 0.35, severity)
    volumes = tuple(left * v * float(rng.uniform(0.85, 1.1)) for v in unit.volumes)
    return replace(unit, present=False, volumes=volumes)


def _shifted(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    way = float(rng.uniform(0, 2 * math.pi))
    reach = _between(4.0, 15.0, severity)
    return replace(unit, dx=reach * math.cos(way), dy=reach * math.sin(way))


def _rotated(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    sign = float(rng.choice((-1.0, 1.0)))
    return replace(unit, turn=sign * _between(4.5, 24.0, severity))


def _tombstone(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    return replace(unit, lift=_between(16.0, 82.0, severity), standing=int(rng.integers(2)))


def _bridge(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    pair = unit.part.bridges[int(rng.integers(len(unit.part.bridges)))]
    strand = Bridge(
        joints=pair,
        place=float(rng.uniform(0.0, 0.4)),
        width=_between(4.5, 13.0, severity),
    )
    return replace(unit, bridge=strand)


def _insufficient(rng: np.random.Generator, unit: Unit, severity: float) -> Unit:
    starved = int(rng.integers(len(unit.volumes)))
    left = _between(0.55, 0.0, severity)
    volumes = tuple(left if i == starved else v for i, v in enumerate(unit.volumes))
    return replace(unit, volumes=volumes)


DEFECTS: dict[str, Damage] = {
    "missing": _missing,
    "shifted": _shifted,
    "rotated": _rotated,
    "tombstone": _tombstone,
    "bridge": _bridge,
    "insufficient_solder": _insufficient,
}


def damage(rng: np.random.Generator, unit: Unit, *, defect: str, severity: float) -> Unit:
    """The unit with a defect, severity 0..1.

    Raises
    ------
    ConfigError : the part cannot have this defect.
    """
    if defect not in unit.part.defects:
        raise ConfigError(
            f"{unit.part.name} cannot have this defect",
            expected=", ".join(unit.part.defects),
            got=defect,
        )
    return DEFECTS[defect](rng, unit, severity)


def _between(mild: float, severe: float, severity: float) -> float:
    return mild + (severe - mild) * severity
