"""A product: one board design with its sites, references and lots, and photographs of boards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.demo.parts import PARTS
from pcb_spark.demo.render import RenderedPair, render_on_site, render_reference
from pcb_spark.demo.schedule import POSITIONS
from pcb_spark.demo.sites import Site, make_site

if TYPE_CHECKING:
    from pcb_spark.demo.camera import Camera
    from pcb_spark.demo.units import Process

# How often each kind is drawn where the part allows it: solder faults lead on real lines.
_DEFECT_WEIGHTS = {
    "missing": 0.6, "shifted": 1.0, "rotated": 1.0, "tombstone": 1.0, "bridge": 2.0,
    "insufficient_solder": 1.4,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What a lot's boards share: the supplier by position and the tone of the mask."""

    suppliers: tuple[int, ...]
    mask_tone: float


class Product:
    """One board design: its sites and references, its lots; ``mask`` is a key of ``MASKS``."""

    def __init__(self, rng: np.random.Generator, *, mask: str, process: Process) -> None:
        self.process = process
        site_rng, self._lot_rng = rng.spawn(2)
        self.sites: tuple[Site, ...] = tuple(
            make_site(site_rng, PARTS[part], refdes=refdes, mask=mask) for refdes, part in POSITIONS
        )
        self.references = tuple(render_reference(site_rng, site) for site in self.sites)
        self._lots: dict[str, Lot] = {}

    def lot(self, name: str) -> Lot:
        """The lot's properties, drawn when it is first asked for."""
        if name not in self._lots:
            looks = [len(site.part.looks) for site in self.sites]
            # Most lots come from the supplier whose part is on the golden board.
            self._lots[name] = Lot(
                suppliers=tuple(
                    int(self._lot_rng.integers(n))
                    if self._lot_rng.random() < self.process.changes
                    else 0
                    for n in looks
                ),
                mask_tone=float(self._lot_rng.normal(1.0, 0.05)),
            )
        return self._lots[name]

    def photograph(
        self,
        rng: np.random.Generator,
        camera: Camera,
        lot: str,
        position: int,
        defect: str | None,
    ) -> RenderedPair:
        """Render the position (an index of ``POSITIONS``) of another board of a lot."""
        shared = self.lot(lot)
        return render_on_site(
            rng,
            self.sites[position],
            reference=self.references[position],
            camera=camera,
            supplier=shared.suppliers[position],
            mask_tone=shared.mask_tone,
            process=self.process,
            defect=defect,
            severity=float(rng.beta(1.1, 1.8)),
        )


def draw_defect(rng: np.random.Generator, position: int, fail_rate: float) -> str | None:
    """Draw a defect that the part of a position can have, or None for a good one."""
    allowed = PARTS[POSITIONS[position][1]].defects
    weights = np.array([_DEFECT_WEIGHTS[kind] for kind in allowed])
    # Both numbers are drawn each time, so that another rate changes no other draw.
    fails = rng.random() < fail_rate
    kind = str(rng.choice(allowed, p=weights / weights.sum()))
    return kind if fails else None
