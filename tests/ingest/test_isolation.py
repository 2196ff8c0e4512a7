from __future__ import annotations

import os
import signal
import time

import pytest

from pcb_spark.ingest import isolation


def test_answer_comes_back() -> None:
    assert isolation.call(lambda: {"pid": os.getpid()})["pid"] != os.getpid()


def test_what_is_raised_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        isolation.call(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGSEGV, "signal 11"), (signal.SIGKILL, "signal 9")]
)
def test_crash_is_told(number: int, said: str) -> None:
    with pytest.raises(isolation.CrashedError, match=said):
        isolation.call(lambda: os.kill(os.getpid(), number))


def test_end_without_an_answer_is_told() -> None:
    with pytest.raises(isolation.CrashedError, match="exit code 3"):
        isolation.call(lambda: os._exit(3))


def test_what_never_ends_is_ended() -> None:
    with pytest.raises(isolation.CrashedError, match="it took too long"):
        isolation.call(lambda: time.sleep(600), seconds=1)


def test_memory_is_bounded() -> None:
    with pytest.raises(MemoryError):
        isolation.call(lambda: len(bytearray(2 << 30)), more_memory=1 << 30)


def test_answer_larger_than_a_pipe() -> None:
    assert isolation.call(lambda: "x" * 5_000_000) == "x" * 5_000_000


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    isolation.call(lambda: os.write(2, b"free(): invalid pointer"))
    assert capfd.readouterr().err == ""
