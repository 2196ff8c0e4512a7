"""The sections of the configuration that say what is scored and what the report shows."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from pcb_spark.lake.settings import Section


class ScoringConfig(Section):
    """What is scored, and the random share of cleared images that a person still sees."""

    since: date | None = None
    until: date | None = None
    audit_share: float = Field(default=0.02, ge=0, le=1)
    reuse_features: bool = True


class ReportConfig(Section):
    """``gallery`` is how many images each group of the report shows; 0 shows none."""

    gallery: int = Field(default=6, ge=0, le=100)
