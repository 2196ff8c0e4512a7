"""What a watching machine has dealt with: a line a version, on the disk before it goes on.

A power cut leaves at most one broken line, the last one; it counts as not written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pcb_spark.core import durable


class Version(NamedTuple):
    """One version of a file: its length and when it was changed, and the hash of its content."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path, sha256: str = "") -> Version:
        """Ask the disk; raises OSError where there is no such file."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, sha256)

    def age(self) -> float:
        """Seconds since it was changed; less than none of a clock that runs ahead."""
        return time.time() - self.mtime_ns / 1e9

    def looks_like(self, other: Version) -> bool:
        """Say whether both have one length and time, so that neither needs to be read."""
        return self[:2] == other[:2]


class Ledger:
    """The newest version of each file that was dealt with, by its path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def get(self, path: str) -> Version | None:
        """The version that was dealt with last."""
        return self._known.get(path)

    def note(self, path: str, version: Version) -> None:
        """Write down that a version was dealt with."""
        line = json.dumps({"path": path, **version._asdict()}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._known[path] = version

    def compact(self, there: Path) -> None:
        """Write it anew, without the files that are gone."""
        self._known = {path: v for path, v in self._known.items() if (there / path).exists()}
        lines = (json.dumps({"path": path, **v._asdict()}) for path, v in self._known.items())
        durable.write(self._path, "".join(f"{line}\n" for line in lines).encode())


def _read(path: Path) -> dict[str, Version]:
    known: dict[str, Version] = {}
    if not path.exists():
        return known
    for line in path.read_bytes().splitlines():
        try:
            raw: Mapping[str, object] = json.loads(line)
            name = str(raw["path"])
            size, mtime_ns = (int(str(raw[field])) for field in ("size", "mtime_ns"))
            known[name] = Version(size, mtime_ns, str(raw["sha256"]))
        except (ValueError, KeyError, TypeError):
            continue  # a power cut in the middle of a line
    return known
