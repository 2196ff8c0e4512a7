"""Where downloads are kept, and whether there may be any."""

from __future__ import annotations

import os
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
