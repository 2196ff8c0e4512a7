"""Which files lie in a drop, on any store.

On a local disk Python lists them: it follows no symbolic link, where Spark would take one file in
under several paths, and folders that are linked in a circle forty levels deep.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pcb_spark.core.errors import InputError
from pcb_spark.ingest import verdict_files
from pcb_spark.lake import filesystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000)
_STATUS: Final = re.compile(
    r"path=((?:(?!; isDirectory=).)*); isDirectory=false; length=(\d+);"
    r" .*?modification_time=(-?\d+);",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a listing: its qualified URI, its size in bytes, when it was last written."""

    uri: str
    length: int
    modified_at: datetime


@dataclass(slots=True)
class Listing:
    """The files below a folder, and the URIs of the links that weren't followed."""

    files: list[Listed] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The files that are old enough to be whole, and how many wait, for one reason or another."""

    files: list[Listed] = field(default_factory=list)
    young: int = 0
    ahead: int = 0

    def lines(self) -> list[str]:
        """How many wait, as lines to read."""
        counts = {
            "are younger than ingest.settle_seconds and wait": self.young,
            "wait, since they were written in the future: a clock runs ahead": self.ahead,
        }
        return [f"{count} files {what}" for what, count in counts.items() if count]


def list_files(spark: SparkSession, folder: str) -> Listing:
    """List all files below ``folder``, a qualified URI, but hidden ones as Spark has them.

    Raises
    ------
    InputError : a folder on a local disk can't be listed. Elsewhere whatever Spark raises.
    """
    local = filesystem.local_path(spark, folder)
    if local is None:
        return Listing(files=_list_by_spark(spark, folder))
    if not local.is_dir():
        filesystem.require(spark, folder)
    return list_local(local, folder)


def list_local(local: Path, folder: str) -> Listing:
    """The same of a folder on this disk, at ``local``."""
    found = Listing()
    _walk(local, folder.rstrip("/"), found)
    return found


def settled(files: Sequence[Listed], *, now: datetime, seconds: int) -> Settled:
    """Leave out what is younger than ``seconds``, or was written by a clock that runs ahead."""
    before = now - timedelta(seconds=seconds)
    old = [file for file in files if file.modified_at <= before]
    ahead = sum(file.modified_at > now for file in files)
    return Settled(files=old, young=len(files) - len(old) - ahead, ahead=ahead)


def modified_at(milliseconds: int) -> datetime:
    """The time of modification as the tables have it: Parquet can't hold those far off."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), _LAST_MS))


def is_hidden(name: str) -> bool:
    """Whether Spark's file sources pass over a file or folder of this name."""
    if name.startswith(("_common_metadata", "_metadata")):
        return False
    underscored = name.startswith("_") and "=" not in name
    return underscored or name.startswith(".") or name.endswith("._COPYING_")


def _walk(folder: str | Path, uri: str, found: Listing) -> None:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        what = f"the folder {uri} can't be listed"
        raise InputError(what, got=error.strerror, hint="check the rights on it") from None
    for entry in shown:
        # Java makes such a character, too, of bytes that are no UTF-8.
        name = os.fsencode(entry.name).decode("utf-8", "replace")
        if entry.is_symlink():
            found.links.append(f"{uri}/{name}")
        elif entry.is_dir(follow_symlinks=False):
            _walk(entry.path, f"{uri}/{name}", found)
        elif entry.is_file(follow_symlinks=False):
            found.files += _status(entry, f"{uri}/{name}")


def _status(entry: os.DirEntry[str], uri: str) -> Iterator[Listed]:
    """Nothing where the file has gone since it was listed."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    yield Listed(uri, status.st_size, modified_at(status.st_mtime_ns // 1_000_000))


def _list_by_spark(spark: SparkSession, folder: str) -> list[Listed]:
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    found = reader.load(verdict_files.escaped(folder))._jdf.queryExecution().analyzed()
    text = found.relation().location().allFiles().mkString("\n")
    return [
        Listed(uri, int(length), modified_at(int(moment)))
        for uri, length, moment in _STATUS.findall(text)
    ]
