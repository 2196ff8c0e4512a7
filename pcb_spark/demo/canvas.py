"""Rounded boxes on a canvas that keeps colour, relief and gloss apart until it is lit.

Shapes are signed distance fields, so edges are smooth at any sub-pixel place and angle
without supersampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[float, float, float]
FloatArray = npt.NDArray[np.float32]
Window = tuple[slice, slice]

_AMBIENT = 0.55
_COAXIAL = 0.42
_RING = 0.22
_GLINT = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A box with round corners: centre, size and corner radius in pixels, angle in degrees."""

    x: float
    y: float
    width: float
    height: float
    corner: float = 0.0
    angle: float = 0.0

    def window(self, margin: float, size: int) -> Window:
        """Rows and columns of a square canvas that the shape can touch."""
        reach = math.hypot(self.width, self.height) / 2 + margin + 1
        return _span(self.y, reach, size), _span(self.x, reach, size)

    def distance(self, window: Window) -> FloatArray:
        """Signed distance to the edge in pixels, negative inside; one float32 a pixel.

        Rounded box of Quilez, "2D distance functions" (iquilezles.org).
        """
        rows, columns = window
        v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(self.y)
        u = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(self.x)
        cos, sin = _turn(self.angle)
        corner = min(self.corner, self.width / 2, self.height / 2)
        along = np.abs(u * np.float32(cos) + v * np.float32(sin))
        along -= np.float32(self.width / 2 - corner)
        across = np.abs(v * np.float32(cos) - u * np.float32(sin))
        across -= np.float32(self.height / 2 - corner)
        inner = np.minimum(np.maximum(along, across), 0)
        outer = np.hypot(np.maximum(along, 0), np.maximum(across, 0))
        distance: FloatArray = inner + outer - np.float32(corner)
        return distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A place and a direction (degrees, clockwise) in which shapes are laid out."""

    x: float
    y: float
    angle: float = 0.0

    def point(self, u: float, v: float) -> tuple[float, float]:
        """Canvas coordinates of the frame's point (u, v)."""
        cos, sin = _turn(self.angle)
        return self.x + u * cos - v * sin, self.y + u * sin + v * cos

    def moved(self, u: float, v: float, turn: float = 0.0) -> Frame:
        """The frame at (u, v) of this one, turned by so many degrees."""
        x, y = self.point(u, v)
        return Frame(x=x, y=y, angle=self.angle + turn)

    def box(self, u: float, v: float, width: float, height: float, corner: float = 0.0) -> Shape:
        """A box centred on (u, v), parallel to the frame."""
        x, y = self.point(u, v)
        return Shape(x=x, y=y, width=width, height=height, corner=corner, angle=self.angle)


def stroke(start: tuple[float, float], end: tuple[float, float], width: float) -> Shape:
    """A line with round ends."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return Shape(
        x=(start[0] + end[0]) / 2,
        y=(start[1] + end[1]) / 2,
        width=math.hypot(dx, dy) + width,
        height=width,
        corner=width / 2,
        angle=math.degrees(math.atan2(dy, dx)),
    )


class Canvas:
    """Colour [S,S,3] and gloss [S,S] in 0..1, relief [S,S] in pixels; all float32."""

    def __init__(self, size: int, colour: Colour) -> None:
        self.size = size
        self.colour: FloatArray = np.full((size, size, 3), colour, np.float32)
        self.relief: FloatArray = np.zeros((size, size), np.float32)
        self.gloss: FloatArray = np.full((size, size), 0.08, np.float32)

    def copy(self) -> Canvas:
        """A canvas of its own with the same content."""
        twin = Canvas(self.size, (0.0, 0.0, 0.0))
        twin.colour, twin.relief, twin.gloss = (
            self.colour.copy(),
            self.relief.copy(),
            self.gloss.copy(),
        )
        return twin

    def paint(
        self,
        shape: Shape,
        colour: Colour,
        *,
        gloss: float = 0.08,
        top: float | None = None,
        bevel: float = 2.0,
        opacity: float = 1.0,
        soft: float = 1.0,
    ) -> None:
        """Lay a shape over what is there.

        Parameters
        ----------
        top : height of its plateau in pixels; None leaves the relief as it is.
        bevel : width in pixels over which it rises to ``top``.
        soft : width in pixels over which the edge fades.
        """
        window = shape.window(soft, self.size)
        distance = shape.distance(window)
        cover = np.clip(0.5 - distance / np.float32(soft), 0, 1) * np.float32(opacity)
        self._blend(window, cover, colour, gloss)
        if top is not None:
            rise = np.clip(-distance / np.float32(bevel), 0, 1)
            relief = self.relief[window]
            relief += (np.float32(top) - relief) * rise * (2 - rise)

    def shadow(self, shape: Shape, *, depth: float, soft: float) -> None:
        """Darken around a shape, at most by ``depth`` (0..1), fading over ``soft`` pixels."""
        window = shape.window(soft, self.size)
        fade = np.clip(0.5 - shape.distance(window) / np.float32(soft), 0, 1)
        self.colour[window] *= (1 - np.float32(depth) * fade)[..., None]
        self.gloss[window] *= 1 - np.float32(depth) * fade

    def write(
        self, text: str, frame: Frame, colour: Colour, *, size: float, opacity: float = 1.0
    ) -> None:
        """Print text centred on a frame, ``size`` pixels high, along the frame's direction."""
        mask = _lettering(text, frame, size, self.size)
        window = (slice(0, self.size), slice(0, self.size))
        self._blend(window, mask * np.float32(opacity), colour, 0.05)

    def lit(self, light: tuple[float, float]) -> FloatArray:
        """The canvas under a ring light with a coaxial lamp: [S,S,3] float32, 0 and up.

        ``light`` is the slope (x, y) whose mirror image of the lamp reaches the camera.
        """
        # Surface tension and moulding leave no creases where slopes of a relief meet.
        down, right = np.gradient(_smoothed(_smoothed(self.relief)))
        steep = down**2 + right**2
        upright = 1 / np.sqrt(1 + steep)
        facing = 1 - (right * np.float32(light[0]) + down * np.float32(light[1]))
        diffuse = _AMBIENT + (1 - _AMBIENT) * np.clip(facing * upright, 0, 1.6)
        away = (right + np.float32(light[0])) ** 2 + (down + np.float32(light[1])) ** 2
        mirror = _COAXIAL * np.exp(-steep / 0.03) + _GLINT * np.exp(-away / 0.10)
        mirror += _RING * np.exp(-((np.sqrt(steep) - 1.2) ** 2) / 0.12)
        lit: FloatArray = self.colour * diffuse[..., None] + (self.gloss * mirror)[..., None]
        return lit

    def _blend(self, window: Window, cover: FloatArray, colour: Colour, gloss: float) -> None:
        under = self.colour[window]
        under += (np.array(colour, np.float32) - under) * cover[..., None]
        sheen = self.gloss[window]
        sheen += (np.float32(gloss) - sheen) * cover


def _smoothed(field: FloatArray) -> FloatArray:
    padded = np.pad(field, 1, mode="edge")
    rows = (padded[:-2] + padded[1:-1] * 2 + padded[2:]) * np.float32(0.25)
    smooth: FloatArray = (rows[:, :-2] + rows[:, 1:-1] * 2 + rows[:, 2:]) * np.float32(0.25)
    return smooth


def _span(centre: float, reach: float, size: int) -> slice:
    start = min(max(math.floor(centre - reach), 0), size)
    return slice(start, max(start, min(size, math.ceil(centre + reach) + 1)))


def _turn(angle: float) -> tuple[float, float]:
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))


def _lettering(text: str, frame: Frame, size: float, canvas: int) -> FloatArray:
    # Drawn large and once upright, then mapped into place, so that letters turn with the part.
    font = ImageFont.load_default(32)
    left, top, right, bottom = font.getbbox(text, stroke_width=1)
    sheet = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(sheet).text((4 - left, 4 - top), text, fill=255, font=font, stroke_width=1)
    # Shrunk first: the mapping below samples points and would skip thin strokes.
    shrink = size / 24
    sheet = sheet.resize(
        (max(1, round(sheet.width * shrink)), max(1, round(sheet.height * shrink))),
        Image.Resampling.LANCZOS,
    )
    cos, sin = _turn(frame.angle)
    centre_u, centre_v = (sheet.width - 1) / 2, (sheet.height - 1) / 2
    inverse = (
        cos, sin, centre_u - cos * frame.x - sin * frame.y,
        -sin, cos, centre_v + sin * frame.x - cos * frame.y,
    )  # fmt: skip
    placed = sheet.transform(
        (canvas, canvas), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR
    )
    return np.asarray(placed, np.float32) / np.float32(255)
