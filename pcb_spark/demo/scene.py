"""Puts a unit on its site: solder, leads, body, marking, dust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pcb_spark.demo.canvas import Canvas, Colour, Frame, stroke
from pcb_spark.demo.parts import SOLDER, TIN, Joint

if TYPE_CHECKING:
    from pcb_spark.demo.sites import Site
    from pcb_spark.demo.units import Bridge, Unit


def draw_scene(site: Site, unit: Unit) -> Canvas:
    """The site with the unit on it, unlit."""
    canvas = site.board.copy()
    canvas.colour *= unit.mask_tone
    for joint, volume in zip(site.part.joints, unit.volumes, strict=True):
        _solder(canvas, site.frame.moved(joint.x, joint.y, joint.turn), joint, volume)
    if unit.bridge is not None:
        _strand(canvas, site, unit.bridge)
    if unit.present:
        _place(canvas, site, unit)
    for speck in unit.specks:
        spot = Frame(x=site.frame.x + speck.x, y=site.frame.y + speck.y, angle=speck.angle)
        shape = spot.box(0, 0, speck.length, speck.width, speck.width / 2)
        canvas.paint(shape, speck.colour, opacity=speck.opacity, soft=1.5)
    return canvas


def _solder(canvas: Canvas, pad: Frame, joint: Joint, volume: float) -> None:
    # Solder wets the pad from the component outwards: with less of it the far end stays bare.
    covered = joint.length * min(1.0, 0.30 + 0.68 * volume)
    width = joint.width * min(1.0, 0.72 + 0.27 * volume)
    film = pad.box((covered - joint.length) / 2, 0, covered - 1, width, width * 0.3)
    canvas.paint(film, SOLDER, gloss=0.85, top=1.0 + 7 * volume, bevel=0.5 * width)


def _strand(canvas: Canvas, site: Site, bridge: Bridge) -> None:
    # Neighbours of one row: a strand, wider where it wets the two pads.
    first, second = (site.part.joints[i] for i in bridge.joints)
    outwards = math.sin(math.radians(first.turn)) * bridge.place * first.length
    y, gap = first.y + outwards, math.copysign(first.width / 2, second.x - first.x)
    for start, end, width in (
        (first.x, second.x, bridge.width),
        (first.x, first.x + gap, bridge.width * 1.5),
        (second.x, second.x - gap, bridge.width * 1.5),
    ):
        line = stroke(site.frame.point(start, y), site.frame.point(end, y), width)
        canvas.paint(line, SOLDER, gloss=0.9, top=2 + width * 0.5, bevel=width / 2)


def _place(canvas: Canvas, site: Site, unit: Unit) -> None:
    body = site.frame.moved(unit.dx, unit.dy, unit.turn)
    if unit.lift:
        _stand_up(canvas, site, unit, body)
        return
    part = site.part
    shape = body.box(0, 0, part.length, part.width, part.corner)
    canvas.shadow(shape, depth=0.55, soft=7)
    for joint, volume in zip(part.joints, unit.volumes, strict=True):
        _lead(canvas, body.moved(joint.x, joint.y, joint.turn), joint, volume)
    _STYLES[part.style](canvas, site, unit, body)


def _lead(canvas: Canvas, joint_frame: Frame, joint: Joint, volume: float) -> None:
    if not joint.lead:
        return
    length = joint.length * 0.9
    lead = joint_frame.box(joint.toe - length / 2, 0, length, joint.lead, 1)
    canvas.paint(lead, TIN, gloss=0.55, top=6.0, bevel=2.5)
    # The fillet at the toe climbs the lead and mirrors the ring light.
    toe = joint_frame.box(joint.toe + 1, 0, 5, joint.lead * 0.9, 2)
    canvas.paint(toe, SOLDER, gloss=0.9, top=2 + 3 * volume, bevel=3, opacity=min(1.0, volume))


def _chip(canvas: Canvas, site: Site, unit: Unit, body: Frame) -> None:
    part, look = site.part, unit.look
    shape = body.box(0, 0, part.length, part.width, part.corner)
    canvas.paint(shape, _toned(look.body, unit), gloss=0.14, top=part.tall, bevel=3)
    for end, volume in zip((-1, 1), unit.volumes, strict=True):
        _cap(canvas, site, unit, body, end, volume)
    _mark(canvas, site, unit, body)


def _cap(canvas: Canvas, site: Site, unit: Unit, body: Frame, end: int, volume: float) -> None:
    part = site.part
    centre = end * (part.length - part.cap) / 2
    cap = body.box(centre, 0, part.cap, part.width + 0.6, part.corner)
    canvas.paint(cap, _toned(unit.look.accent, unit), gloss=0.5, top=part.tall + 1, bevel=3)
    # Wetted flank: bright solder up the end of the cap, higher with more solder.
    flank = body.box(
        end * (part.length / 2 + 1), 0, 2 + 3.5 * min(volume, 1.2), part.width * 0.82, 2
    )
    canvas.paint(flank, SOLDER, gloss=0.9, top=1 + 4.5 * volume, bevel=3)


def _moulded(canvas: Canvas, site: Site, unit: Unit, body: Frame) -> None:
    part, look = site.part, unit.look
    shape = body.box(0, 0, part.length, part.width, part.corner)
    canvas.paint(shape, _toned(look.body, unit), gloss=0.10, top=part.tall, bevel=5)
    if part.cap:
        stripe = body.box(part.cap / 2 - part.length / 2 + 4, 0, part.cap, part.width - 6, 1)
        canvas.paint(stripe, look.accent)
    elif len(part.joints) > 3:
        dot = body.box(9 - part.length / 2, part.width / 2 - 10, 7, 7, 3.5)
        canvas.paint(dot, look.accent, top=part.tall - 1.5, bevel=2)
    _mark(canvas, site, unit, body)


def _can(canvas: Canvas, site: Site, unit: Unit, body: Frame) -> None:
    part, look = site.part, unit.look
    base = body.box(0, 0, part.length, part.width, part.corner)
    canvas.paint(base, (0.09, 0.09, 0.10), gloss=0.1, top=4, bevel=3)
    radius = part.length / 2 - 3
    canvas.paint(
        body.box(0, 0, 2 * radius, 2 * radius, radius),
        _toned(look.body, unit),
        gloss=0.45,
        top=part.tall,
        bevel=5,
    )
    # The polarity segment is what a round print leaves to the left of a chord.
    for step in range(7):
        u = -radius + 5 + 2 * step
        chord = 2 * math.sqrt(max(0.0, (radius - 4) ** 2 - u * u))
        canvas.paint(body.box(u, 0, 2.6, chord), _toned(look.accent, unit))
    _mark(canvas, site, unit, body.moved(8, 0))


def _stand_up(canvas: Canvas, site: Site, unit: Unit, body: Frame) -> None:
    part, look = site.part, unit.look
    way = 1 if unit.standing else -1
    lift = math.radians(unit.lift)
    top, face = part.length * math.cos(lift), part.width * 0.55 * math.sin(lift)
    foot = way * part.length / 2
    centre = foot - way * (top + face) / 2
    shade = body.box(centre - way * face * 0.6, 3, top + face, part.width, part.corner)
    canvas.shadow(shade, depth=0.65, soft=9)
    tall = part.tall * (1 + 0.8 * math.sin(lift))
    whole = body.box(centre, 0, top + face, part.width, part.corner)
    canvas.paint(whole, _toned(look.body, unit), gloss=0.14, top=tall, bevel=3)
    near = part.cap * math.cos(lift)
    canvas.paint(body.box(foot - way * near / 2, 0, near, part.width), TIN, gloss=0.5)
    # The raised end turns its cap's face to the camera.
    raised = near + face
    end = body.box(foot - way * (top + face - raised / 2), 0, raised, part.width, 2)
    canvas.paint(end, _toned(look.accent, unit), gloss=0.6, top=tall + 1, bevel=3)


def _mark(canvas: Canvas, site: Site, unit: Unit, body: Frame) -> None:
    if unit.look.marking:
        line = body.moved(0, 0, 180.0 if unit.flipped else 0.0)
        canvas.write(unit.look.marking, line, unit.look.ink, size=site.part.text, opacity=unit.ink)


def _toned(colour: Colour, unit: Unit) -> Colour:
    return colour[0] * unit.tone, colour[1] * unit.tone, colour[2] * unit.tone


_STYLES = {"chip": _chip, "moulded": _moulded, "can": _can}
