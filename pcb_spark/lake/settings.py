"""What sections of the configuration are, and those of session and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping


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


class SessionConfig(Protocol):
    """What a session is made from; ``pipeline.config.Config`` has it."""

    @property
    def spark(self) -> SparkConfig:
        """The session's own section."""
        ...

    def places(self) -> Mapping[str, str]:
        """Return what may lie on a store, by its key."""
