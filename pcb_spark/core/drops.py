"""A camera drop on this machine's disk, read without Spark: its images, and each one's reference.

Names, folders, times and ``references.csv`` are read as ingest reads them. Of manifests and verdict
files it is the plain form alone: ``manifest.csv`` and ``verdicts.csv`` in UTF-8 with our names of
the columns, of which ``image`` and ``reference`` count, and what says more of the image.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pcb_spark.core import images as pictures
from pcb_spark.core import names, validity
from pcb_spark.core.errors import ImageError
from pcb_spark.core.layouts import Layout, Traits
from pcb_spark.core.times import DEFAULT_EARLIEST, Reader

#: What an image's file is named like.
PICTURES: Final = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp)$", re.IGNORECASE)
#: Of which files the plain form is read, the first one counting most.
TABLES: Final = ("manifest.csv", "verdicts.csv")
_TOLD: Final = (names.LINE, names.LOT, names.BOARD_ID, names.POSITION, names.PART_NUMBER)
_MOST_REFERENCES: Final = 256  # of which the size is remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a plant lays out its drops: what edge machines heed of the keys of ``ingest``."""

    images: str = "images"
    references: str = "references"
    reference_windows: str = "references.csv"
    reference_size_tolerance: float = 0.02
    pattern: str = ""
    time_format: str = ""
    timezone: str = "UTC"
    earliest: date = DEFAULT_EARLIEST
    verdict_time_format: tuple[str, ...] = ()
    max_pixels: int = pictures.DEFAULT_MAX_PIXELS

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "earliest": self.earliest.isoformat()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Habits:
        """Read what ``to_json`` made; TypeError or ValueError where it is something else."""
        told = {
            "earliest": date.fromisoformat(raw["earliest"]),
            "verdict_time_format": tuple(raw["verdict_time_format"]),
        }
        return cls(**{**raw, **told})

    @property
    def layout(self) -> Layout:
        """How its files are named."""
        return Layout(
            pattern=self.pattern, time_format=self.time_format,
            timezone=self.timezone, earliest=self.earliest,
        )  # fmt: skip

    @property
    def times(self) -> Reader:
        """How its tables write times."""
        return Reader(
            timezone=self.timezone, formats=self.verdict_time_format, earliest=self.earliest
        )


def image_id(path: str) -> str:
    """128 bits of the hash of a path below the drop, as ingest names an image."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Drop:
    """A camera drop below ``root``; what its tables say is read once."""

    root: Path
    habits: Habits
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder that is searched for images: the drop itself where it has none."""
        named = self.root / self.habits.images
        return named if named.is_dir() else self.root

    def paths(self) -> Iterator[str]:
        """The paths below the drop of every image, in order; hidden files and links are none."""
        skipped = self.root / self.habits.references
        for below in sorted(self.folder.rglob("*")):
            path = below.relative_to(self.root)
            hidden = any(part.startswith(("_", ".")) for part in path.parts)
            if hidden or skipped in below.parents or not PICTURES.search(below.name):
                continue
            if not below.is_symlink() and below.is_file():
                yield path.as_posix()

    def traits(self, path: str, content: bytes) -> Traits:
        """What is known of an image: its row's columns first, then what its name and it say."""
        told = self._told(path)
        named = self.habits.layout.read(path, content)
        known: dict[str, Any] = {name: told[name] for name in _TOLD if told.get(name)}
        moment, _ = self.habits.times.judge(told.get(names.CAPTURED_AT))
        return replace(named, **known, captured_at=moment or named.captured_at)

    def reference(self, path: str, traits: Traits, image: bytes) -> tuple[str, bytes] | None:
        """Path and content of an image's golden image; None where ingest would attach none."""
        named = self._told(path).get(names.REFERENCE)
        return self._attached(named, image) if named else self.golden(traits, image)

    def golden(self, traits: Traits, image: bytes) -> tuple[str, bytes] | None:
        """The same by part number, position, line and time alone."""
        return self._attached(validity.choose(self._windows, traits), image)

    def _attached(self, named: str | None, image: bytes) -> tuple[str, bytes] | None:
        if not named or ".." in Path(named).parts or Path(named).is_absolute():
            return None
        try:
            content = (self.root / named).read_bytes()
        except OSError:
            return None
        return (named, content) if self._fits(image, content) else None

    def _fits(self, image: bytes, reference: bytes) -> bool:
        """Whether a reference has about the size of its image; what is none, scoring tells."""
        try:
            own, golden = self._size(image), self._golden_size(reference)
        except ImageError:
            return True
        tolerance = self.habits.reference_size_tolerance
        return all(abs(a - b) <= tolerance * a for a, b in zip(own, golden, strict=True))

    def _golden_size(self, reference: bytes) -> tuple[int, int]:
        key = hashlib.sha256(reference).hexdigest()
        if key not in self._sizes:
            if len(self._sizes) >= _MOST_REFERENCES:
                self._sizes.clear()
            self._sizes[key] = self._size(reference)
        return self._sizes[key]

    def _size(self, content: bytes) -> tuple[int, int]:
        found = pictures.inspect(content, max_pixels=self.habits.max_pixels)
        return found.width, found.height

    def unread(self) -> list[str]:
        """The tables that are there and aren't written in the plain form."""
        named = (*TABLES, self.habits.reference_windows)
        return [name for name in named if (self.root / name).is_file() and not self._table(name)]

    def _told(self, path: str) -> dict[str, str]:
        """What files tell of an image: the tables, and where they don't its sidecar."""
        return self._sidecar(path) | self._rows.get(path, {})

    def _sidecar(self, path: str) -> dict[str, str]:
        try:
            raw = json.loads((self.root / f"{path}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        told = raw.items() if isinstance(raw, dict) else ()
        return {name: value for name, value in told if isinstance(value, str) and value}

    @cached_property
    def _rows(self) -> dict[str, dict[str, str]]:
        """What the tables say of each image, by its path."""
        found: dict[str, dict[str, str]] = {}
        for name in reversed(TABLES):
            for row in self._table(name):
                filled = {column: value for column, value in row.items() if value}
                path = filled.get(names.IMAGE, "")
                found[path] = found.get(path, {}) | filled
        return found

    def _table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table in the plain form; none of another one."""
        try:
            rows = list(csv.reader(io.StringIO(self._text(name))))
        except (OSError, UnicodeDecodeError, csv.Error):
            return []
        header = [column.strip().lower() for column in (rows or [[]])[0]]
        if not {names.IMAGE, names.REFERENCE} & set(header):
            return []
        return [dict(zip(header, map(str.strip, row), strict=False)) for row in rows[1:]]

    @cached_property
    def _windows(self) -> list[validity.Window]:
        return validity.windows(self._table(self.habits.reference_windows), self.habits.times)

    def _text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8-sig")
