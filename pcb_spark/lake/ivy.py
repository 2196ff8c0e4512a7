"""What Ivy says where it can't resolve jars: a few lines out of the hundreds that Spark prints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

_MOST: Final = 5
_UNRESOLVED: Final = re.compile(r"(?:unresolved dependency: |download failed: )([^,\]\n]+)")
_TROUBLE: Final = re.compile(
    r"^\s*(Host .+ not found|Server access error.*|(?:SERVER|CLIENT) ERROR:.*|\[FAILED +\].*)",
    re.MULTILINE,
)
#: Each file of a server has a line of its own; what they say differs in the path alone.
_PATH: Final = re.compile(r"(?: url[= ]| )\w+://(?:[^/\s@]*@)?([^/\s]+)\S*")
_THROWN: Final = re.compile(r'^(?:Exception in thread "main"|Caused by:) (.+)', re.MULTILINE)
_PYTHON: Final = "Traceback (most recent call last)"
_CHATTER: Final = re.compile(
    r"Picked up |\d\d/\d\d/\d\d .* (?:WARN|INFO) |Setting default log level"
)


def reason(stderr: str) -> str:
    """Return why there are no jars: what is unresolved and each server's trouble, or Java's own.

    Empty where nothing was said.
    """
    said = [*_UNRESOLVED.findall(stderr), *_troubles(stderr)]
    return "; ".join(islice(dict.fromkeys(said or _other(stderr)), _MOST))


def may_pass(stderr: str) -> bool:
    """Say whether another try makes sense: a server, or the way to it, was the trouble."""
    return _TROUBLE.search(stderr) is not None


def _troubles(stderr: str) -> Iterator[str]:
    for line in _TROUBLE.findall(stderr):
        yield _PATH.sub(r" \1", line).strip()


def _other(stderr: str) -> Iterable[str]:
    """What was thrown, else the first line said before Python noticed, else Python's own last."""
    if thrown := _THROWN.findall(stderr):
        return thrown
    before, _, python = stderr.partition(_PYTHON)
    lines = [line.strip() for line in before.splitlines() if line and not _CHATTER.match(line)]
    return lines[:1] or python.strip().splitlines()[-1:]
