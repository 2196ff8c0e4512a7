"""What waits for the network: pictures, tables and decisions, laid out as ingest reads a drop.

``forward`` moves it to a folder that may be away for hours. Of each file the copy is whole, and on
the other disk, before it goes here; decisions go last, so that none arrives before its picture.

The spool is bounded. Beyond the limit pictures go that nobody will look at, those cleared and drawn
for neither control nor audit, the oldest first; their decisions stay. Where that isn't enough, new
pictures are left where the camera wrote them, and their decisions say so.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pcb_spark.core import durable

DECISIONS: Final = "decisions"


@dataclass
class Spool:
    """A spool below ``folder`` of up to ``most`` bytes."""

    folder: Path
    most: int
    _size: int = 0
    _idle: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Weigh what is there, and remove what a power cut left half written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.rglob(".*.part"):
            path.unlink()
        self._size = sum(path.stat().st_size for path in self._files())

    def keep(self, path: str, content: bytes) -> bool:
        """Take in a file, under its path below the drop; False where there is no room for it."""
        place = self.folder / path
        had = place.stat().st_size if place.exists() else 0
        while self._size - had + len(content) > self.most and self._idle:
            self._drop(next(iter(self._idle)))
        if self._size - had + len(content) > self.most:
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.write(place, content)
        self._size += len(content) - had
        return True

    def keep_decision(self, path: str, content: bytes) -> None:
        """Take in a decision; there is always room for one."""
        place = self.folder / DECISIONS / path
        had = place.stat().st_size if place.exists() else 0
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.write(place, content)
        self._size += len(content) - had

    def decisions(self) -> list[dict[str, Any]]:
        """Read the decisions that wait here."""
        return [json.loads(file.read_bytes()) for file in self._files() if self._is_decision(file)]

    def may_go(self, path: str) -> None:
        """Note that nobody will look at this picture."""
        place = self.folder / path
        if place.exists():
            self._idle[path] = place.stat().st_size

    def forward(self, to: Path) -> int:
        """Move everything to a folder, decisions last; answer how many files came through.

        Raises
        ------
        OSError : the folder isn't there, or full; what hasn't come through stays.
        """
        if not to.is_dir():
            raise FileNotFoundError(2, "it isn't there", str(to))
        moved = 0
        for path in sorted(self._files(), key=lambda path: self._is_decision(path)):
            content = path.read_bytes()
            place = to / path.relative_to(self.folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.write(place, content)
            path.unlink()
            self._idle.pop(path.relative_to(self.folder).as_posix(), None)
            self._size -= len(content)
            moved += 1
        return moved

    def _drop(self, path: str) -> None:
        self._size -= self._idle.pop(path)
        (self.folder / path).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def _is_decision(self, path: Path) -> bool:
        return path.relative_to(self.folder).parts[0] == DECISIONS
