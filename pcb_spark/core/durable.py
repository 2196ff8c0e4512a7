"""Files that are there as a whole after a power cut, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place, see to it that it is on the disk, and move it there."""
    beside = path.with_name(f".{path.name}.part")  # one name, so that no kill leaves a second
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a folder, the last of ``files`` last."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; a rename is lasting only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
