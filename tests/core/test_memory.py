from __future__ import annotations

import ctypes
from pathlib import Path

from pcb_spark.core import memory

MIB = 1 << 20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def test_memory_below_what_is_in_use_is_given_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(MIB // 16) for _ in range(64 * 16)]
    for block in blocks:
        ctypes.memset(block, 1, MIB // 16)
    for block in blocks[:-1]:
        libc.free(block)
    before = resident()

    memory.give_back()

    assert before - resident() > 48 * MIB
    libc.free(blocks[-1])
