"""API keys: who may do what. The file of keys holds hashes alone.

A key is ``pcb_ID_SECRET``; SECRET has 256 random bits, so that one round of SHA-256 hides it, and
no password hash has to slow every request down. Several keys are valid at a time: a new one is
handed out before the old one is revoked. The file is read again when it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import stat
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pcb_spark.core.errors import ConfigError

log = logging.getLogger(__name__)

#: score: have images inspected. review: be told why an image goes to an operator. admin: exchange
#: the model.
SCORE: Final = "score"
REVIEW: Final = "review"
ADMIN: Final = "admin"
SCOPES: Final = (SCORE, REVIEW, ADMIN)
#: Of the review page. operator: say what images show. lead: see the shift, approve golden images.
#: engineer: take verdicts away.
OPERATOR: Final = "operator"
LEAD: Final = "lead"
ENGINEER: Final = "engineer"
ROLES: Final = (OPERATOR, LEAD, ENGINEER)

_TOKEN = re.compile(r"pcb_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as the file holds it; ``expires_at`` is an ISO time, None: it doesn't expire."""

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str
    created_at: str
    expires_at: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Say whether it hasn't expired."""
        return self.expires_at is None or now < datetime.fromisoformat(self.expires_at)


def make(
    name: str, scopes: Sequence[str], *, days: int | None = None, now: datetime | None = None
) -> tuple[str, Key]:
    """Make a key: the token, which is shown once, and what the file keeps of it."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    identity, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = Key(
        id=identity,
        name=name,
        scopes=tuple(scopes),
        sha256=_digest(secret),
        created_at=moment.isoformat(),
        expires_at=None if days is None else (moment + timedelta(days=days)).isoformat(),
    )
    return f"pcb_{identity}_{secret}", key


def read(path: Path) -> tuple[Key, ...]:
    """Read the file of keys.

    Raises
    ------
    ConfigError : it isn't there, or no such file.
    """
    hint = f"make one with `pcb-serve key --keys {path} --name NAME --scope score`"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return tuple(_key(each) for each in raw["keys"])
    except FileNotFoundError:
        raise ConfigError(f"no file of API keys at {path}", hint=hint) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        got = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} is no file of API keys", got=got, hint=hint) from None


def write(path: Path, keys: Sequence[Key]) -> None:
    """Put a new file in place of the old one at once.

    Nobody but its owner may read it, unless the old one was readable by others.

    Raises
    ------
    ConfigError : it can't be written there.
    """
    text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n"
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        beside.touch(mode=0o600)
        beside.write_text(text, encoding="utf-8")
        beside.chmod(mode)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        what, hint = f"API keys can't be written to {path}", "name a folder that is there"
        raise ConfigError(what, got=error.strerror, hint=hint) from None


class KeyRing:
    """The keys of a file, read again when it changes; a broken file leaves those of before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = threading.Lock()
        self._seen = _stamp(path)
        self._keys = {key.id: key for key in read(path)}

    def find(self, token: str) -> Key | None:
        """Give the valid key of a token, None where there is none.

        It takes the same time whether the key is unknown or its secret is wrong.
        """
        self._read_again()
        parts = _TOKEN.fullmatch(token)
        identity, secret = parts.groups() if parts else ("", "")
        key = self._keys.get(identity)
        fits = hmac.compare_digest(_digest(secret), key.sha256 if key else _NOBODY)
        return key if key and fits and key.is_valid(datetime.now(UTC)) else None

    def known(self, identity: str) -> Key | None:
        """Give the key with this id, None where it isn't valid any more."""
        self._read_again()
        key = self._keys.get(identity)
        return key if key and key.is_valid(datetime.now(UTC)) else None

    def _read_again(self) -> None:
        with self._reading:  # who asks meanwhile waits for the new keys
            now = _stamp(self._path)
            if now == self._seen:
                return
            try:
                self._keys = {key.id: key for key in read(self._path)}
                log.info("%d API keys read", len(self._keys))
            except ConfigError as error:
                log.error("the API keys of before stay: %s", error)
            self._seen = now


def _key(raw: dict[str, object]) -> Key:
    key = Key(**{**raw, "scopes": tuple(raw["scopes"])})  # type: ignore[arg-type]
    texts = (key.id, key.name, key.sha256, key.created_at, *key.scopes)
    if not all(isinstance(each, str) for each in texts) or not set(key.scopes) <= {*SCOPES, *ROLES}:
        message = f"key {key.id!r} has other fields than a key has"
        raise ValueError(message)
    if key.expires_at is not None and datetime.fromisoformat(key.expires_at).tzinfo is None:
        message = f"expires_at of key {key.id!r} has no time zone"
        raise ValueError(message)
    return key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
