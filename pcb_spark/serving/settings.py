"""What the service may be told at its start: one field, one flag of ``pcb-serve start``."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field, fields
from typing import Any, Self, cast

from pcb_spark.core.errors import ConfigError

_MIB = 1 << 20


def _setting(default: float, least: float, text: str) -> Any:
    return field(default=default, metadata={"least": least, "help": text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits of the service, and how it uses the machine."""

    workers: int = _setting(0, 0, "threads that decode and score; 0: one a core")
    batch: int = _setting(8, 1, "images of one reference that the network sees in one call")
    images: int = _setting(32, 1, "images of one request")
    body_mib: int = _setting(32, 1, "size of one request, MiB")
    pixels: int = _setting(0, 0, "width x height of one image; 0: as the bundle says")
    requests: int = _setting(32, 1, "requests in progress; one more is answered 503")
    rate: float = _setting(0.0, 0, "requests a second of one API key; 0: as many as it likes")
    references_mib: int = _setting(64, 1, "memory for decoded references, MiB")
    read_seconds: float = _setting(30.0, 0.1, "time that a client has to send one request")
    grace_seconds: int = _setting(30, 0, "time after SIGTERM for requests in progress")
    watch_seconds: float = _setting(2.0, 0.01, "time between two looks for a new model")

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least = getattr(self, each.name), each.metadata["least"]
            if not value >= least:
                raise ConfigError(
                    f"{flag(each.name)} is too small", expected=f"{least} or more", got=value
                )

    @property
    def threads(self) -> int:
        """Number of threads, 1 or more."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def max_pixels(self) -> int | None:
        """Of one image; None: as the bundle says."""
        return self.pixels or None

    @property
    def body_bytes(self) -> int:
        """Size of the largest request."""
        return self.body_mib * _MIB

    @property
    def reference_bytes(self) -> int:
        """Memory for decoded references."""
        return self.references_mib * _MIB

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Read what ``add_flags`` added."""
        return cls(**{each.name: getattr(options, each.name) for each in fields(cls)})


def flag(name: str) -> str:
    """Return the flag of a field."""
    return "--max-" + name if name in _LIMITS else "--" + name.replace("_", "-")


_LIMITS = ("batch", "images", "pixels", "requests", "rate")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag a field."""
    for each in fields(Settings):
        default = cast("float", each.default)
        parser.add_argument(
            flag(each.name), dest=each.name, type=type(default), default=default, metavar="N",
            help=f"{each.metadata['help']} ({default:,})",
        )  # fmt: skip


def add_address(parser: argparse.ArgumentParser, *, port: int) -> None:
    """Add the flags that say where a service listens."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    text = f"port; 0: any that is free ({port})"
    parser.add_argument("--port", type=int, default=port, help=text)
