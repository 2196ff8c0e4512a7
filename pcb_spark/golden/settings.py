"""The ``golden`` section of the configuration."""

from __future__ import annotations

from datetime import date

from pydantic import Field, model_validator

from pcb_spark.lake.settings import Section


class GoldenConfig(Section):
    """How golden images are made of the line's own verified-good images."""

    images: int = Field(default=7, ge=1, le=15)
    """Most images that one golden image is made of, the most recent of the position."""
    least: int = Field(default=3, ge=1, le=15)
    """Fewest images that one is made of; from 3 on a wrong verdict among them leaves no trace."""
    by_line: bool = True
    """Whether each line has golden images of its own, as where cameras differ."""
    max_misfit: float = Field(default=0.3, gt=0, lt=1)
    """How little an image may look like a golden image to be added to it, 1 - correlation; beyond
    twice that it isn't compared with it.
    """
    since: date | None = None
    """First capture date of images that golden images are made of; none is all."""

    @model_validator(mode="after")
    def _least_within(self) -> GoldenConfig:
        if self.least > self.images:
            msg = f"least ({self.least}) is more than images ({self.images})"
            raise ValueError(msg)
        return self
