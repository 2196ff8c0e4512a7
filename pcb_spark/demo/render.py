"""One component image, its golden reference, and where the defect is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from pcb_spark.core.errors import ConfigError
from pcb_spark.demo.camera import GOLDEN_CAMERA, Camera, add_noise, aimed, camera_on_day, expose
from pcb_spark.demo.defects import damage
from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.scene import draw_scene
from pcb_spark.demo.sites import MASKS, Site, make_site
from pcb_spark.demo.units import STEADY, Process, golden_unit, good_unit

Box = tuple[int, int, int, int]

_SEEN = 12  # grey levels from which a change belongs to the defect's box


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPair:
    """A component image with its reference.

    ``defect_box`` is (left, top, right, bottom) in pixels of the image, right and bottom
    exclusive; None without a defect. ``quality`` is what the camera gives JPEG.
    """

    image: Image.Image
    reference: Image.Image
    defect_box: Box | None
    quality: int


def render_pair(
    rng: np.random.Generator,
    *,
    part: str,
    defect: str | None = None,
    severity: float = 0.5,
    day: float = 0.0,
) -> RenderedPair:
    """Render a part (a key of ``PARTS``) on a new site, good or with a defect.

    Parameters
    ----------
    defect : a member of the part's ``defects``, or None for a good one.
    severity : 0 (just beyond tolerance) to 1.
    day : working days since the camera was set up; it drifts.

    With the same generator state, the image differs from the one with ``defect=None``
    by the defect alone.

    Raises
    ------
    ConfigError : no such part, or the part cannot have this defect.
    """
    if part not in PARTS:
        raise ConfigError("no such part", expected=", ".join(PARTS), got=part)
    layout, day_rng, image_rng = rng.spawn(3)
    mask = list(MASKS)[int(layout.integers(len(MASKS)))]
    site = make_site(layout, PARTS[part], refdes=f"{PARTS[part].prefix}1", mask=mask)
    return render_on_site(
        image_rng,
        site,
        reference=render_reference(layout, site),
        camera=camera_on_day(day_rng, day),
        supplier=int(day_rng.integers(len(PARTS[part].looks))),
        defect=defect,
        severity=severity,
    )


def render_reference(rng: np.random.Generator, site: Site) -> Image.Image:
    """The golden image of a site."""
    golden = expose(draw_scene(site, golden_unit(site.part)), GOLDEN_CAMERA)
    return add_noise(rng, golden, GOLDEN_CAMERA.noise)


def render_on_site(
    rng: np.random.Generator,
    site: Site,
    *,
    reference: Image.Image,
    camera: Camera,
    supplier: int,
    mask_tone: float = 1.0,
    process: Process = STEADY,
    defect: str | None = None,
    severity: float = 0.5,
) -> RenderedPair:
    """Render a unit on a known site; ``supplier`` is an index into the part's looks."""
    unit_rng, defect_rng, camera_rng = rng.spawn(3)
    good = good_unit(unit_rng, site.part, supplier=supplier, mask_tone=mask_tone, process=process)
    shot = aimed(camera_rng, camera)
    box: Box | None = None
    clean = expose(draw_scene(site, good), shot)
    if defect is not None:
        unit = damage(defect_rng, good, defect=defect, severity=severity)
        clean, flawless = expose(draw_scene(site, unit), shot), clean
        box = _changed(flawless, clean)
    return RenderedPair(
        image=add_noise(camera_rng, clean, shot.noise),
        reference=reference,
        defect_box=box,
        quality=shot.quality,
    )


def _changed(flawless: Image.Image, defective: Image.Image) -> Box:
    difference = np.asarray(ImageChops.difference(flawless, defective)).max(axis=2)
    # A faint defect may stay below what counts as seen: then its strongest half counts.
    seen = difference >= min(_SEEN, int(difference.max()) // 2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
