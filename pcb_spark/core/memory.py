"""Memory that a model leaves behind, given back to the machine."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Let go of what was freed.

    glibc keeps freed memory for itself where something in use lies above it. What a network takes
    and frees doesn't fit the next one's: with each exchange of a 20 MB graph a process grew by up
    to 50 MB, and by nothing with this call. Other C libraries have no such call and need none.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
