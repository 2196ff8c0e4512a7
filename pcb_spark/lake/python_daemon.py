"""What forks Spark's Python workers in local mode, so that a task begins without reading archives.

A worker forgets before each task what Python knows of the files on its path. Up to Python 3.12
(gh-103200) that makes it read the whole directory of pyspark.zip at once, and once more for each
package in it: a hundred milliseconds of a core a task, however little the task has to do.
"""

from __future__ import annotations

import weakref
import zipimport
from pathlib import Path
from typing import Final

_seen: Final = weakref.WeakKeyDictionary[zipimport.zipimporter, tuple[int, int] | None]()
_read_again: Final = zipimport.zipimporter.invalidate_caches


def _read_again_if_changed(self: zipimport.zipimporter) -> None:
    """Let an importer read its archive's directory where the file isn't the one it read last."""
    stamp = _stamp(self.archive)
    if stamp is None or _seen.get(self) != stamp:
        _read_again(self)
        _seen[self] = stamp


def _stamp(archive: str) -> tuple[int, int] | None:
    try:
        status = Path(archive).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def keep_archives() -> None:
    """Have this process, and those forked off it, read an archive again only once it changed."""
    zipimport.zipimporter.invalidate_caches = _read_again_if_changed  # type: ignore[method-assign]


if __name__ == "__main__":
    from pyspark import daemon

    keep_archives()
    daemon.manager()  # type: ignore[no-untyped-call]
