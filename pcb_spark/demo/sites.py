"""A site: one part on one product's bare board, the same for every board of that product."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from pcb_spark.demo.canvas import Canvas, Colour, Frame, stroke
from pcb_spark.demo.parts import GOLD, Part

IMAGE_SIZE = 144
MARGIN = 14
"""Canvas pixels around the image on each side: what a shifted or turned camera still sees."""

CANVAS_SIZE = IMAGE_SIZE + 2 * MARGIN
MASKS: dict[str, Colour] = {
    "green": (0.07, 0.30, 0.17),
    "blue": (0.06, 0.17, 0.38),
    "red": (0.36, 0.07, 0.06),
    "black": (0.06, 0.065, 0.075),
}

_SILK: Colour = (0.78, 0.80, 0.76)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A part's place: its frame on the canvas, and the bare board drawn once."""

    part: Part
    refdes: str
    frame: Frame
    board: Canvas


def make_site(rng: np.random.Generator, part: Part, *, refdes: str, mask: str) -> Site:
    """Lay out traces, pads and silk-screen around a part; ``mask`` is a key of ``MASKS``."""
    upright = bool(rng.random() < 0.65)
    frame = Frame(x=CANVAS_SIZE / 2, y=CANVAS_SIZE / 2, angle=0.0 if upright else 90.0)
    board = Canvas(CANVAS_SIZE, MASKS[mask])
    _lay_copper(rng, board, frame, part, MASKS[mask])
    _add_weave(rng, board)
    _open_pads(board, frame, part)
    _print_silk(rng, board, frame, part, refdes)
    return Site(part=part, refdes=refdes, frame=frame, board=board)


def _lay_copper(
    rng: np.random.Generator, board: Canvas, frame: Frame, part: Part, mask: Colour
) -> None:
    # Copper under the mask shows as a lighter tone of the mask and a low ridge.
    tone = (mask[0] * 1.5 + 0.02, mask[1] * 1.32 + 0.02, mask[2] * 1.4 + 0.02)
    if rng.random() < 0.5:
        edge = float(rng.uniform(58, 74)) * float(rng.choice((-1, 1)))
        board.paint(frame.box(edge * 1.9, 0, 110, 240), tone, top=1.0, bevel=2)
    width = float(rng.uniform(5, 8))
    for joint in part.joints:
        start = (joint.x, joint.y)
        away = frame.moved(joint.x, joint.y, joint.turn)
        bend = (float(rng.uniform(26, 44)), float(rng.uniform(-8, 8)))
        _trace(
            board,
            [frame.point(*start), away.point(bend[0], 0), away.point(120, bend[1] * 9)],
            width,
            tone,
        )
        if rng.random() < 0.35:
            _via(board, away.point(bend[0], 0), tone)
    for _ in range(int(rng.integers(1, 4))):
        offset = float(rng.uniform(-80, 80))
        slant = float(rng.choice((-45, 0, 45, 90)))
        line = frame.moved(offset, offset, slant)
        _trace(board, [line.point(-160, 40), line.point(160, 40)], width, tone)


def _trace(board: Canvas, points: list[tuple[float, float]], width: float, tone: Colour) -> None:
    for start, end in itertools.pairwise(points):
        board.paint(stroke(start, end, width), tone, gloss=0.1, top=1.0, bevel=2)


def _via(board: Canvas, place: tuple[float, float], tone: Colour) -> None:
    board.paint(stroke(place, place, 13), tone, gloss=0.12, top=1.2, bevel=2)
    board.paint(stroke(place, place, 5.5), (0.05, 0.08, 0.06), gloss=0.02, top=0.2, bevel=2)


def _add_weave(rng: np.random.Generator, board: Canvas) -> None:
    # Glass fibre shines through the mask as a faint grid; the lacquer itself is mottled.
    place = np.arange(board.size, dtype=np.float32)
    phase = rng.uniform(0, 6.28, 2)
    grid = np.sin(place * 0.9 + phase[0])[:, None] * np.sin(place * 0.9 + phase[1])[None, :]
    mottle = rng.standard_normal((board.size, board.size), np.float32)
    board.colour *= (1 + 0.03 * grid + 0.03 * mottle)[..., None].astype(np.float32)


def _open_pads(board: Canvas, frame: Frame, part: Part) -> None:
    for joint in part.joints:
        pad = frame.moved(joint.x, joint.y, joint.turn)
        board.paint(
            pad.box(0, 0, joint.length + 5, joint.width + 5, 3), (0.11, 0.15, 0.10), top=0.2
        )
        board.paint(
            pad.box(0, 0, joint.length, joint.width, 2), GOLD, gloss=0.35, top=0.8, bevel=1.5
        )


def _print_silk(
    rng: np.random.Generator, board: Canvas, frame: Frame, part: Part, refdes: str
) -> None:
    half_length = max(abs(j.x) + (j.length / 2 if j.y == 0 else j.width / 2) for j in part.joints)
    half_length = max(half_length, part.length / 2) + 7
    half_width = part.width / 2 + 8
    if all(joint.y == 0 for joint in part.joints):
        for side in (-half_width, half_width):
            board.paint(frame.box(0, side, part.length * 0.8, 2.2, 1), _SILK, top=1.0)
    else:
        for side in (-half_length, half_length):
            board.paint(frame.box(side, 0, 2.2, part.width, 1), _SILK, top=1.0)
    corner = float(rng.choice((-1, 1))) * 57
    label = Frame(x=frame.x + corner, y=frame.y - 62)
    board.write(refdes, label, _SILK, size=13)
