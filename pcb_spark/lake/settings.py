"""What sections of the configuration are, and those of session and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys; the text below a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PathsConfig(Section):
    """Where the camera drop is and where the tables go; any URI that Hadoop can open."""

    drop: str = ""
    """Folder of the camera drop, a local path or a URI."""
    out: str = ""
    """Folder of the tables and the bundle, a local path or a URI."""


class CompactConfig(Section):
    """How ``pcb-spark compact`` writes."""

    target_mb: int = Field(default=256, gt=0)
    """How large files become out of many small ones, in MB of 2**20 bytes."""


class SparkConfig(Section):
    """The session of a job that spark-submit hasn't started."""

    master: str = "local[*]"
    """Spark's master, in local mode only."""
    driver_memory: str = "4g"
    """Heap of the driver, in local mode only."""
    conf: dict[str, str] = Field(default_factory=dict)
    """Further settings of Spark, by their names."""


class SessionConfig(Protocol):
    """What a session is made from; ``pipeline.config.Config`` has it."""

    @property
    def spark(self) -> SparkConfig:
        """The session's own section."""
        ...

    @property
    def needs_synapseml(self) -> bool:
        """Whether scoring needs SynapseML's jars."""
        ...

    def places(self) -> Mapping[str, str]:
        """Return what may lie on a store, by its key."""
