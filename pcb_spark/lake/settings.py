"""The sections of the configuration: one frozen class a stage, with defaults and bounds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PathsConfig(Section):
    """Where the camera drop is and where the tables go; any URI that Hadoop can open."""

    drop: str = ""
    out: str = ""


class CompactConfig(Section):
    """How large the files get that many small ones become, in MB of 2**20 bytes."""

    target_mb: int = Field(default=256, gt=0)


class SparkConfig(Section):
    """The session; ``master`` and ``driver_memory`` count in local mode only."""

    master: str = "local[*]"
    driver_memory: str = "4g"
    conf: dict[str, str] = Field(default_factory=dict)
