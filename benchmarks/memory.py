"""Peak memory of a process and all it starts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

_INTERVAL_S = 0.2
_EXECUTOR = "CoarseGrainedExecutorBackend"


@dataclass(slots=True)
class Peak:
    """Highest sums of PSS seen, in MB; PSS counts shared pages once among those who share them.

    ``executor`` is the largest executor of a cluster with its Python workers; in local mode, where
    the driver is the executor, 0.
    """

    total: float = 0.0
    java: float = 0.0
    python: float = 0.0
    executor: float = 0.0

    def see(self, root: psutil.Process) -> None:
        """Take one sample of ``root`` and its descendants."""
        java = python = 0.0
        with suppress(psutil.NoSuchProcess):
            for process in (root, *root.children(recursive=True)):
                size, is_java = _size(process)
                java += size * is_java
                python += size * (not is_java)
                self.executor = max(self.executor, _executor_size(process))
        self.total = max(self.total, java + python)
        self.java, self.python = max(self.java, java), max(self.python, python)


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Sample the process ``pid`` until the block ends."""
    peak, done, root = Peak(), threading.Event(), psutil.Process(pid)

    def watch() -> None:
        while not done.wait(_INTERVAL_S):
            peak.see(root)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _size(process: psutil.Process) -> tuple[float, bool]:
    """PSS in MB, 0 of a process that has ended; and whether it is a JVM."""
    try:
        return process.memory_full_info().pss / 1e6, process.name() == "java"
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0, False


def _executor_size(process: psutil.Process) -> float:
    try:
        if not any(_EXECUTOR in word for word in process.cmdline()):
            return 0.0
        family = (process, *process.children(recursive=True))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return sum(_size(each)[0] for each in family)
