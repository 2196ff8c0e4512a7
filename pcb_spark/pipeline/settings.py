"""The sections of the configuration that say what is scored and what the report shows."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from pcb_spark.lake.settings import Section


class ScoringConfig(Section):
    """What is scored, and what of the cleared images a person still sees."""

    since: date | None = None
    """First capture date to score; none is from the beginning, and for nights from the day after
    the first champion's training."""
    until: date | None = None
    """Last capture date to score; none is to the end, and for nights to yesterday."""
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


class RegistryConfig(Section):
    """Where model versions are kept, and what promotes one."""

    enabled: bool = True
    """Registers what is trained."""
    uri: str = ""
    """MLflow's tracking URI, e.g. ``https://mlflow.plant.example``; empty is a SQLite file in
    ``registry/`` below ``paths.out``, where that is on a local disk."""
    model: str = Field(default="pcb_spark", min_length=1, pattern="^[^/:]+$")
    """Name of the registered model: one for each plant that shares a server."""
    window_days: int = Field(default=14, gt=0)
    """How many of the last days with verdicts promotion compares champion and challenger on."""


class ReportConfig(Section):
    """What the report shows."""

    gallery: int = Field(default=6, ge=0, le=100)
    """Images in each group of the report; 0 shows none."""
