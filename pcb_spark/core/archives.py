"""Files of a folder or a .zip, read by name and no further than is asked for.

Nothing is ever unpacked to where an archive says: whoever reads names the file and its most bytes.
So a file that unpacks to gigabytes costs no more than the first bytes of it, and a path that leaves
the archive leads nowhere; an archive with such a path is refused all the same.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Final, Protocol

from pcb_spark.core.errors import BundleError

#: A name, or a folder and a name, of plain characters: what it may be called inside.
_PLAIN: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_MOST_ENTRIES: Final = 10_000
_AGAIN: Final = "fetch it again from where it was made"
_STORED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Files(Protocol):
    """Where the files of a bundle are read from."""

    def read(self, name: str, most: int) -> bytes:
        """Read a file of up to ``most`` bytes.

        Raises
        ------
        BundleError : there is none, it is longer, or it can't be read.
        """
        ...


def is_plain(name: str) -> bool:
    """Say whether a file may be called so: one folder deep at most, and never above it."""
    return _PLAIN.fullmatch(name) is not None and ".." not in name


def opened(path: Path) -> Files:
    """Open a folder or a .zip.

    Raises
    ------
    BundleError : there is nothing, or no archive.
    """
    if path.is_dir():
        return _Folder(path)
    if not path.exists():
        raise BundleError(f"there is no edge bundle {path}", hint="name a folder or a .zip")
    return _Zip(path)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, most: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(most + 1)
        except OSError as error:
            raise _lacks(self._folder, name, error.strerror) from None
        return _short_enough(content, self._folder, name, most)


class _Zip:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise BundleError(f"{path} is no .zip", got=error, hint=_AGAIN) from None
        self._names = self._checked()

    def _checked(self) -> frozenset[str]:
        """The names of its files; an archive that nobody would make is refused as a whole."""
        entries = self._archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            what = f"{self._path} holds more files than a bundle has"
            raise BundleError(what, expected=_MOST_ENTRIES, got=len(entries), hint=_AGAIN)
        names = [entry.filename for entry in entries]
        for name in names:
            parts = re.split(r"[/\\]", name)
            if ".." in parts or parts[0] == "" or ":" in parts[0] or "\\" in name:
                what = f"{self._path} holds a path that leaves the archive"
                raise BundleError(what, got=name, hint="don't use it: find out who made it")
        if len(set(names)) < len(names):
            raise BundleError(f"{self._path} holds two files of one name", hint=_AGAIN)
        return frozenset(names)

    def read(self, name: str, most: int) -> bytes:
        if name not in self._names:
            raise _lacks(self._path, name, "no such file in the archive")
        try:
            if self._archive.getinfo(name).compress_type not in _STORED:
                raise NotImplementedError("packed in a way that isn't read")
            with self._archive.open(name) as file:
                content = file.read(most + 1)
        except (
            OSError, zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError,
        ) as error:  # fmt: skip
            what = f"{name} in {self._path} can't be unpacked"
            raise BundleError(what, got=error, hint=_AGAIN) from None
        return _short_enough(content, self._path, name, most)


def _lacks(where: Path, name: str, why: str | None) -> BundleError:
    return BundleError(f"{where} lacks {name}", got=why, hint="copy the whole bundle again")


def _short_enough(content: bytes, where: Path, name: str, most: int) -> bytes:
    if len(content) > most:
        what = f"{name} in {where} is longer than it may be"
        raise BundleError(what, expected=f"{most} bytes at most", hint=_AGAIN)
    return content
