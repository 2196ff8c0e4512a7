"""Where the package's own files lie, where downloads are kept, and whether there may be any."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import platformdirs

#: Set to anything but 0 it turns a download into an error: whatever isn't in the cache is missing.
OFFLINE: Final = "PCB_SPARK_OFFLINE"


def cache_folder() -> Path:
    """Return the folder for jars and downloads: ~/.cache/pcb_spark, or below XDG_CACHE_HOME."""
    return platformdirs.user_cache_path("pcb_spark").absolute()


def offline() -> bool:
    """Say whether the environment forbids downloads."""
    return os.environ.get(OFFLINE, "0") not in ("", "0")


def conf_folder() -> Path:
    """Return the folder of profiles and of Spark's settings, for programs that want a path."""
    return Path(str(_conf()))


def profiles() -> dict[str, Traversable]:
    """Return the configurations that come with the package, by file name; also out of a zip file.

    An executor's or a submitted driver's package is the wheel itself.
    """
    found = {each.name: each for each in _conf().iterdir() if each.name.endswith(".toml")}
    return dict(sorted(found.items()))


def _conf() -> Traversable:
    return resources.files("pcb_spark") / "conf"
