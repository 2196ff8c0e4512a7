"""The camera of a line: what its lamp and lens do over the weeks, and one exposure."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from pcb_spark.demo.sites import IMAGE_SIZE

if TYPE_CHECKING:
    from pcb_spark.demo.canvas import Canvas

_DRIFT_DAYS = 30.0  # working days over which the drifts of ``camera_on_day`` are stated
MOST_TURN = 2.0
"""Degrees that a board lies turned in its fixture at most."""
_SERVICE_DAYS = 45.0  # after so many, lamp and lens are as new


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Settings of one exposure.

    ``gains`` multiply red, green, blue; ``light`` is the slope that mirrors the lamp;
    ``falloff`` the change of brightness from the centre to the edge (x, y, corners);
    ``blur`` a standard deviation, ``shift`` a way, both in pixels; ``turn`` in degrees;
    ``noise`` a standard deviation in grey levels; ``quality`` JPEG's 1..95.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    light: tuple[float, float] = (0.35, 0.45)
    falloff: tuple[float, float, float] = (0.0, 0.0, -0.06)
    blur: float = 0.55
    shift: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    scale: float = 1.0
    noise: float = 1.2
    quality: int = 92


GOLDEN_CAMERA = Camera()
"""The camera as set up when the golden board was recorded."""


def camera_on_day(rng: np.random.Generator, day: float) -> Camera:
    """The line's camera ``day`` working days after set-up.

    The lamp fades and turns yellow, the lens collects flux haze, screws settle, until both
    are serviced; each day differs a little by warm-up and cleaning.
    """
    age = day % _SERVICE_DAYS / _DRIFT_DAYS
    level = 1.0 - 0.18 * age + float(rng.normal(0, 0.025))
    warm = 0.07 * age + float(rng.normal(0, 0.012))
    tilt = rng.normal(0, 0.03, 4)
    return Camera(
        gains=(level * (1 + warm), level, level * (1 - warm)),
        gamma=1.0 + float(rng.normal(0, 0.02)),
        light=(0.35 + 0.10 * age + float(tilt[0]), 0.45 + float(tilt[1])),
        falloff=(0.08 * age + float(tilt[2]), float(tilt[3]), -0.06 - 0.04 * age),
        blur=0.55 + 0.35 * age + abs(float(rng.normal(0, 0.08))),
        scale=1.0 + 0.006 * age + float(rng.normal(0, 0.002)),
        noise=1.6 + 0.8 * age,
        quality=int(rng.integers(80, 93)),
    )


def aimed(rng: np.random.Generator, camera: Camera) -> Camera:
    """The day's camera for one exposure: board, table and lamp lie differently each time."""
    flicker = float(rng.normal(1, 0.02))
    red, green, blue = camera.gains
    return replace(
        camera,
        gains=(red * flicker, green * flicker, blue * flicker),
        blur=camera.blur * float(rng.uniform(0.85, 1.2)),
        shift=(float(rng.normal(0, 0.5)), float(rng.normal(0, 0.5))),
        turn=float(np.clip(rng.normal(0, 0.7), -MOST_TURN, MOST_TURN)),
    )


def expose(scene: Canvas, camera: Camera) -> Image.Image:
    """The scene as the lens draws it on the sensor, without noise: RGB, IMAGE_SIZE square."""
    light = scene.lit(camera.light) * _brightness(scene.size, camera)
    np.clip(light, 0, 1, out=light)
    levels = (255 * light ** np.float32(camera.gamma) + np.float32(0.5)).astype(np.uint8)
    framed = Image.fromarray(levels).transform(
        (IMAGE_SIZE, IMAGE_SIZE),
        Image.Transform.AFFINE,
        _mapping(scene.size, camera),
        Image.Resampling.BICUBIC,
    )
    return framed.filter(ImageFilter.GaussianBlur(camera.blur))


def add_noise(rng: np.random.Generator, image: Image.Image, sigma: float) -> Image.Image:
    """The image with the sensor's noise, ``sigma`` grey levels."""
    levels = np.asarray(image, np.float32)
    # Luminance noise dominates in a demosaiced image, so one plane serves all three.
    noise = rng.standard_normal(levels.shape[:2], np.float32)[..., None] * np.float32(sigma)
    return Image.fromarray(np.clip(levels + noise + 0.5, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> bytes:
    """The camera's file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _brightness(size: int, camera: Camera) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    place = np.linspace(-1, 1, size, dtype=np.float32)
    across, down, corners = (np.float32(part) for part in camera.falloff)
    field = 1 + across * place[None, :] + down * place[:, None]
    field = field + corners * (place[None, :] ** 2 + place[:, None] ** 2)
    return np.asarray(field[..., None] * np.array(camera.gains, np.float32), np.float32)


def _mapping(size: int, camera: Camera) -> tuple[float, float, float, float, float, float]:
    # PIL wants the way back: from a pixel of the image to a place on the canvas.
    cos = math.cos(math.radians(camera.turn)) / camera.scale
    sin = math.sin(math.radians(camera.turn)) / camera.scale
    half, middle = IMAGE_SIZE / 2, size / 2
    x, y = middle - camera.shift[0], middle - camera.shift[1]
    return cos, sin, x - half * (cos + sin), -sin, cos, y - half * (cos - sin)
