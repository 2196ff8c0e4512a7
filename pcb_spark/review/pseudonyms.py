"""Operators by a name that only the plant can lead back to them.

A pseudonym is an HMAC-SHA256 of the operator's name: the same name has the same pseudonym as long
as the key is there, and nobody finds the name without it. Who destroys the key has made all
verdicts of before anonymous.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from pcb_spark.core.errors import ConfigError

_BYTES: Final = 32
_DIGITS: Final = 12


class Pseudonyms:
    """The pseudonyms of one plant."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, operator: str) -> str:
        """Give an operator's pseudonym, e.g. ``op-3f9a0c5d21be``."""
        digest = hmac.new(self._key, operator.encode(), hashlib.sha256).hexdigest()
        return f"op-{digest[:_DIGITS]}"


def read(path: Path) -> Pseudonyms:
    """Read the plant's key; make one where there is none.

    Raises
    ------
    ConfigError : the file can't be read or written, or holds no key.
    """
    try:
        if not path.exists():
            _make(path)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        what = f"no key of pseudonyms can be read from {path}"
        hint = "name a file that is one, or one that isn't there yet, with --operator-key"
        raise ConfigError(what, got=error, hint=hint) from None
    if len(key) != _BYTES:
        raise ConfigError(
            f"{path} holds no key of pseudonyms", expected=f"{2 * _BYTES} hexadecimal digits",
            got=f"{2 * len(key)}",
        )  # fmt: skip
    return Pseudonyms(key)


def _make(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
