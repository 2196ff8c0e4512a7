"""The part families: pads, leads, bodies and markings, in pixels of the rendered image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcb_spark.demo.canvas import Colour

GOLD: Colour = (0.74, 0.60, 0.30)
TIN: Colour = (0.52, 0.52, 0.53)
SOLDER: Colour = (0.36, 0.38, 0.41)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """One pad: its centre, the direction away from the body (degrees), its size, the lead on it.

    ``length`` lies along the direction. ``lead`` is the width of a gull-wing lead, 0 for an
    end cap, whose toe ends ``toe`` pixels from the pad's centre (outwards positive).
    """

    x: float
    y: float
    turn: float
    length: float
    width: float
    lead: float = 0.0
    toe: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One supplier's part: body colour, second colour (cap, stripe, dot), ink and marking."""

    body: Colour
    accent: Colour
    ink: Colour
    marking: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part family with its land pattern.

    ``length`` x ``width`` is the body, ``tall`` its height, ``cap`` the length of an end cap
    (0: none), ``bridges`` the pairs of joints between which solder can run.
    """

    name: str
    prefix: str
    style: str
    length: float
    width: float
    tall: float
    corner: float
    joints: tuple[Joint, ...]
    looks: tuple[Look, ...]
    bridges: tuple[tuple[int, int], ...]
    defects: tuple[str, ...]
    text: float
    cap: float = 0.0


_ANY = ("missing", "shifted", "rotated", "insufficient_solder")
_WHITE: Colour = (0.86, 0.86, 0.83)
_GREY: Colour = (0.60, 0.60, 0.58)


def _two_ended(x: float, length: float, width: float, **lead: float) -> tuple[Joint, ...]:
    return (
        Joint(x=-x, y=0, turn=180, length=length, width=width, **lead),
        Joint(x=x, y=0, turn=0, length=length, width=width, **lead),
    )


def _row(turn: float, y: float, columns: tuple[float, ...], toe: float) -> tuple[Joint, ...]:
    return tuple(
        Joint(x=x, y=y, turn=turn, length=26, width=13, lead=8.5, toe=toe) for x in columns
    )


def _chip_resistor() -> Part:
    return Part(
        name="chip_resistor",
        prefix="R",
        style="chip",
        length=66,
        width=34,
        tall=6,
        corner=1.5,
        cap=12,
        joints=_two_ended(35, 28, 36, toe=-2),
        looks=(
            Look(body=(0.13, 0.13, 0.15), accent=TIN, ink=_WHITE, marking="103"),
            Look(body=(0.10, 0.11, 0.16), accent=TIN, ink=_WHITE, marking="103"),
            Look(body=(0.17, 0.15, 0.14), accent=(0.62, 0.61, 0.58), ink=_GREY, marking="01C"),
        ),
        bridges=(),
        defects=(*_ANY, "tombstone"),
        text=15,
    )


def _chip_capacitor() -> Part:
    return Part(
        name="chip_capacitor",
        prefix="C",
        style="chip",
        length=62,
        width=36,
        tall=10,
        corner=2.5,
        cap=14,
        joints=_two_ended(34, 28, 37, toe=-3),
        looks=(
            Look(body=(0.60, 0.49, 0.36), accent=TIN, ink=_WHITE, marking=""),
            Look(body=(0.53, 0.42, 0.32), accent=TIN, ink=_WHITE, marking=""),
            Look(body=(0.62, 0.55, 0.45), accent=(0.60, 0.60, 0.59), ink=_WHITE, marking=""),
        ),
        bridges=(),
        defects=(*_ANY, "tombstone"),
        text=14,
    )


def _tantalum() -> Part:
    return Part(
        name="tantalum",
        prefix="C",
        style="moulded",
        length=74,
        width=46,
        tall=13,
        corner=2,
        cap=13,
        joints=_two_ended(42, 26, 30, lead=24, toe=1),
        looks=(
            Look(body=(0.72, 0.53, 0.16), accent=(0.45, 0.27, 0.09), ink=(0.3, 0.18, 0.07),
                 marking="107"),
            Look(body=(0.66, 0.49, 0.20), accent=(0.38, 0.24, 0.10), ink=(0.3, 0.18, 0.07),
                 marking="107"),
            Look(body=(0.17, 0.17, 0.18), accent=(0.62, 0.61, 0.58), ink=_GREY, marking="100A"),
        ),
        bridges=(),
        defects=_ANY,
        text=15,
    )  # fmt: skip


def _electrolytic() -> Part:
    return Part(
        name="electrolytic",
        prefix="C",
        style="can",
        length=78,
        width=78,
        tall=16,
        corner=10,
        joints=_two_ended(42, 28, 18, lead=10, toe=4),
        looks=(
            Look(body=(0.58, 0.59, 0.60), accent=(0.13, 0.13, 0.14), ink=(0.12, 0.12, 0.13),
                 marking="100"),
            Look(body=(0.53, 0.54, 0.56), accent=(0.12, 0.14, 0.20), ink=(0.10, 0.12, 0.18),
                 marking="100"),
            Look(body=(0.62, 0.62, 0.60), accent=(0.16, 0.13, 0.12), ink=(0.14, 0.12, 0.12),
                 marking="10V"),
        ),
        bridges=(),
        defects=_ANY,
        text=15,
    )  # fmt: skip


def _sot23() -> Part:
    return Part(
        name="sot23",
        prefix="Q",
        style="moulded",
        length=66,
        width=36,
        tall=10,
        corner=2,
        joints=(
            Joint(x=-21, y=31, turn=90, length=28, width=19, lead=11, toe=3),
            Joint(x=21, y=31, turn=90, length=28, width=19, lead=11, toe=3),
            Joint(x=0, y=-31, turn=-90, length=28, width=19, lead=11, toe=3),
        ),
        looks=(
            Look(body=(0.15, 0.15, 0.16), accent=(0.15, 0.15, 0.16), ink=_GREY, marking="1AM"),
            Look(body=(0.19, 0.19, 0.19), accent=(0.19, 0.19, 0.19), ink=_WHITE, marking="1AM"),
            Look(body=(0.12, 0.13, 0.15), accent=(0.12, 0.13, 0.15), ink=_GREY, marking="W1A"),
        ),
        bridges=((0, 1),),
        defects=(*_ANY, "bridge"),
        text=14,
    )


def _soic8() -> Part:
    columns = (-34.5, -11.5, 11.5, 34.5)
    return Part(
        name="soic8",
        prefix="U",
        style="moulded",
        length=94,
        width=56,
        tall=13,
        corner=2,
        joints=_row(90, 42, columns, 3) + _row(-90, -42, columns, 3),
        looks=(
            Look(body=(0.14, 0.14, 0.15), accent=(0.08, 0.08, 0.09), ink=_GREY, marking="LM358"),
            Look(body=(0.18, 0.18, 0.18), accent=(0.11, 0.11, 0.11), ink=_WHITE, marking="LM358"),
            Look(body=(0.11, 0.12, 0.14), accent=(0.06, 0.06, 0.07), ink=_GREY, marking="358DR"),
        ),
        bridges=((0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)),
        defects=(*_ANY, "bridge"),
        text=13,
    )


def _by_name(*parts: Part) -> dict[str, Part]:
    return {part.name: part for part in parts}


PARTS: dict[str, Part] = _by_name(
    _chip_resistor(), _chip_capacitor(), _tantalum(), _electrolytic(), _sot23(), _soic8()
)
