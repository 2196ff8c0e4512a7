"""The sections of the configuration that say what is scored and what the report shows."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from pcb_spark.lake.settings import Section


class ScoringConfig(Section):
    """What is scored, and what of the cleared images a person still sees."""

    since: date | None = None
    """First capture date to score; none is from the beginning."""
    until: date | None = None
    """Last capture date to score; none is to the end."""
    control_share: float = Field(default=0.05, ge=0, le=1)
    """Random share of boards whose every image a person sees, whatever its score; 1 clears nothing
    and learns from everything.
    """
    audit_share: float = Field(default=0.02, ge=0, le=1)
    """Share of the other cleared images that a person still sees: half of it at random, half from
    the highest tenth of their scores.
    """
    reuse_features: bool = True
    """Runs the trees alone where the same graph made features of the same files."""


class ReportConfig(Section):
    """What the report shows."""

    gallery: int = Field(default=6, ge=0, le=100)
    """Images in each group of the report; 0 shows none."""
