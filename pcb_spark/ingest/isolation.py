"""A call in a process of its own, for native code that may crash or never end on damaged input."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: Wall clock, s, and address space beyond what the caller has, bytes.
SECONDS: Final = 120
MORE_MEMORY: Final = 4 << 30


class CrashedError(Exception):
    """The process ended without an answer; the text says by which signal or exit code."""


def call(work: Callable[[], T], *, seconds: int = SECONDS, more_memory: int = MORE_MEMORY) -> T:
    """Return what ``work`` returns; what it raises is raised here.

    The process is a fork, so that it starts in milliseconds with everything that is loaded. It says
    nothing on standard error: what native code prints there before it dies helps nobody.

    Raises
    ------
    CrashedError : it was killed, by its own fault or after ``seconds``.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, sender, seconds, more_memory)
    os.close(sender)
    with os.fdopen(receiver, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if not answer or os.waitstatus_to_exitcode(status):
        raise CrashedError(_described(os.waitstatus_to_exitcode(status)))
    succeeded, value = pickle.loads(answer)
    if succeeded:
        return value  # type: ignore[no-any-return]
    raise value


def _work(work: Callable[[], Any], sender: int, seconds: int, more_memory: int) -> None:
    """Answer and end, in the child, whatever happens; nothing of the parent is run or flushed."""
    code = 1
    with contextlib.suppress(BaseException):
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        _limit_memory(more_memory)
        try:
            answer = (True, work())
        except Exception as error:  # noqa: BLE001  the parent raises it
            answer = (False, error)
        with os.fdopen(sender, "wb") as stream:
            pickle.dump(answer, stream)
        code = 0
    os._exit(code)


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _described(code: int) -> str:
    if code == -signal.SIGALRM:
        return "it took too long"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
