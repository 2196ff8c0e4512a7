"""The files and folders of a drop that a configured name stands for, and those that nearly do."""

from __future__ import annotations

import fnmatch
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pcb_spark.lake import filesystem

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_GLOB: Final = re.compile(r"[*?\[{]")


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """A file or folder: its URI, and its bytes where it is a file."""

    uri: str
    length: int = 0
    is_folder: bool = True

    @property
    def name(self) -> str:
        """What it is called in its folder."""
        return self.uri.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What a name stands for, and what differs from it in capitals or accents only."""

    found: list[Named]
    others: list[Named]


def find(spark: SparkSession, root: str, name: str) -> Matches:
    """Find what lies below ``root``, a qualified URI, under a name whose parts may be globs.

    Where nothing has exactly this name, what differs in capitals or accents only is it.
    """
    return find_among(lambda uri: entries(spark, uri), root, name)


def find_among(entries_of: Callable[[str], list[Named]], root: str, name: str) -> Matches:
    """The same by a function that lists what lies right below a folder."""
    listings: dict[str, list[Named]] = {}

    def below(folder: Named) -> list[Named]:
        if folder.uri not in listings:
            listings[folder.uri] = entries_of(folder.uri)
        return listings[folder.uri]

    def matching(*, loosely: bool) -> list[Named]:
        here = [Named(root.rstrip("/"))]
        for part in filter(None, name.split("/")):
            if part == "..":
                here = [Named(folder.uri.rpartition("/")[0]) for folder in here]
            elif part != ".":
                folders = [folder for folder in here if folder.is_folder]
                inside = [entry for folder in folders for entry in below(folder)]
                here = [entry for entry in inside if _fits(entry.name, part, loosely=loosely)]
        return sorted(here)

    exact, loose = matching(loosely=False), matching(loosely=True)
    return Matches(found=exact or loose, others=[e for e in loose if e not in exact] * bool(exact))


def _fits(name: str, part: str, *, loosely: bool) -> bool:
    if loosely:
        name, part = (unicodedata.normalize("NFC", text).casefold() for text in (name, part))
    if not _GLOB.search(part):
        return name == part
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _alternatives(part))


def _alternatives(pattern: str) -> list[str]:
    """The patterns without braces that one with braces stands for."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [p for each in found[1].split(",") for p in _alternatives(f"{before}{each}{after}")]


def entries(spark: SparkSession, uri: str) -> list[Named]:
    """What lies right below a folder; nothing where it can't be listed."""
    local = filesystem.local_path(spark, uri)
    return _entries_by_hadoop(spark, uri) if local is None else local_entries(local, uri)


def local_entries(local: Path, uri: str) -> list[Named]:
    """The same of a folder on this disk, at ``local``."""
    try:
        with os.scandir(local) as found:
            return [
                _named(f"{uri}/{entry.name}", entry.stat().st_size, entry.is_dir())
                for entry in found
                if entry.is_file() or entry.is_dir()
            ]
    except OSError:
        return []


def _entries_by_hadoop(spark: SparkSession, uri: str) -> list[Named]:
    store, path = filesystem.open_path(spark, uri)
    if not store.exists(path):
        return []
    return [
        _named(str(found.getPath().toString()), int(found.getLen()), bool(found.isDirectory()))
        for found in store.listStatus(path)
    ]


def _named(uri: str, length: int, is_folder: bool) -> Named:
    """A folder has no length; what disks and stores tell of one differs."""
    return Named(uri, 0 if is_folder else length, is_folder)
