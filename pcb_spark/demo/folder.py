"""The folder that the demo may write to, and empty again: one that it has made itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pcb_spark.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_MARK: Final = ".demo"
_TEXT: Final = "Made by `pcb-spark demo`, which deletes what it took in when it runs here again.\n"


def claim(folder: Path) -> None:
    """Make ``folder`` and mark it, or find the mark.

    Raises
    ------
    ConfigError : it holds something and has no mark, or is no folder.
    """
    if folder.exists() and not (folder / _MARK).is_file():
        if not folder.is_dir():
            raise ConfigError(f"--out {folder} is no folder", hint="name another one with --out")
        if any(folder.iterdir()):
            raise ConfigError(
                f"--out {folder} holds files and wasn't made by the demo, which would delete some",
                expected=f"a folder that is empty, isn't there yet, or has the file {_MARK}",
                hint="name another one with --out; if an earlier version's demo made it, delete it",
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(_TEXT, encoding="utf-8")


def forget(folder: Path, names: Iterable[str]) -> None:
    """Delete what an earlier demo took in, by name, since its drop is deleted too.

    Raises
    ------
    ConfigError : the mark is gone.
    """
    claim(folder)
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
