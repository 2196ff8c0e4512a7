"""A unit: one part as placed and soldered, with the variation that good ones show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pcb_spark.demo.canvas import Colour
    from pcb_spark.demo.parts import Look, Part

_DUST_COLOURS: tuple[Colour, ...] = (
    (0.70, 0.69, 0.66), (0.20, 0.19, 0.18), (0.45, 0.36, 0.24), (0.55, 0.58, 0.66),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """How much good units differ, all of them within tolerance.

    ``solder`` is the standard deviation of its volume (1: nominal), of a board and of each joint;
    ``placement`` that of a part's offset (pixels) and turn (degrees), ``tone`` that of its
    brightness; ``specks`` the mean number of specks on an image; ``changes`` the share of lots
    whose part comes from another supplier than the golden board's may.
    """

    solder: float = 0.05
    placement: float = 0.8
    tone: float = 0.05
    specks: float = 0.5
    changes: float = 0.3


STEADY = Process()
WILD = Process(solder=0.1, placement=1.4, tone=0.1, specks=1.5, changes=0.7)
"""A process that uses all of its tolerance, with parts from whoever has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speck:
    """Dust or a fibre on the board: where (canvas pixels from the centre), how long, how wide."""

    x: float
    y: float
    length: float
    width: float
    angle: float
    colour: Colour
    opacity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Solder between two joints: ``place`` along the pads (share of their length), width."""

    joints: tuple[int, int]
    place: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A part on its site: placement in pixels and degrees, solder by joint (1: nominal).

    ``lift`` is the angle in degrees by which the part stands up on joint ``standing``.
    """

    part: Part
    look: Look
    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    flipped: bool = False
    tone: float = 1.0
    mask_tone: float = 1.0
    ink: float = 0.85
    volumes: tuple[float, ...]
    specks: tuple[Speck, ...] = ()
    lift: float = 0.0
    standing: int = 0
    bridge: Bridge | None = None
    present: bool = True


def golden_unit(part: Part) -> Unit:
    """The unit on a golden board: nominal in everything, from the first supplier."""
    return Unit(part=part, look=part.looks[0], volumes=(1.0,) * len(part.joints))


def good_unit(
    rng: np.random.Generator,
    part: Part,
    *,
    supplier: int,
    mask_tone: float,
    process: Process = STEADY,
) -> Unit:
    """A unit within tolerance; ``supplier`` is an index into the part's looks."""
    paste = float(rng.normal(1.0, process.solder))
    scatter = rng.normal(0.0, process.solder, len(part.joints))
    return Unit(
        part=part,
        look=part.looks[supplier],
        dx=_within(rng, sd=process.placement, bound=2.2),
        dy=_within(rng, sd=process.placement, bound=2.2),
        turn=_within(rng, sd=process.placement, bound=2.0),
        # Two-ended parts without polarity come out of the tape either way round.
        flipped=bool(rng.random() < 0.5 and part.style == "chip"),
        tone=float(rng.normal(1.0, process.tone)),
        mask_tone=mask_tone * float(rng.normal(1.0, 0.02)),
        ink=float(rng.uniform(0.7, 1.0)),
        volumes=tuple(float(np.clip(paste + s, 0.82, 1.2)) for s in scatter),
        specks=tuple(_speck(rng) for _ in range(int(rng.poisson(process.specks)))),
    )


def _within(rng: np.random.Generator, *, sd: float, bound: float) -> float:
    return float(np.clip(rng.normal(0.0, sd), -bound, bound))


def _speck(rng: np.random.Generator) -> Speck:
    fibre = bool(rng.random() < 0.35)
    colour = _DUST_COLOURS[int(rng.integers(len(_DUST_COLOURS)))]
    return Speck(
        x=float(rng.uniform(-70, 70)),
        y=float(rng.uniform(-70, 70)),
        length=float(rng.uniform(10, 22) if fibre else rng.uniform(2, 5)),
        width=float(rng.uniform(1.0, 1.6) if fibre else rng.uniform(2, 4.5)),
        angle=float(rng.uniform(0, 180)),
        colour=colour,
        opacity=float(rng.uniform(0.25, 0.7)),
    )
