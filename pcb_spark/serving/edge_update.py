"""Where an edge machine gets its next model: a disk or stick, a URL, or an MLflow registry.

A download is a .zip, and is kept in a file until it is whole; it is opened like any other, so that
nothing in it is parsed before its signature fits.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pcb_spark.core.errors import InputError, StoreUnreachable
from pcb_spark.serving import edge_mlflow

#: No bundle is longer, in bytes.
MOST_BYTES: Final = 2 << 30
_CHUNK: Final = 1 << 20
_SECONDS: Final = 30.0  # without a byte
_SCHEMES: Final = ("http", "https")


@contextlib.contextmanager
def fetched(place: str, scratch: Path, *, most: int = MOST_BYTES) -> Iterator[Path]:
    """Give a bundle's path on this disk; what was downloaded to ``scratch`` goes afterwards.

    Raises
    ------
    StoreUnreachable : the address doesn't answer, or stops in the middle.
    InputError : it answers with an error, or with more than a bundle has.
    ConfigError : a registry's model that isn't told as ``edge_mlflow`` wants it.
    """
    if edge_mlflow.is_model(place):
        asked = edge_mlflow.request_of(place)
    elif urlsplit(place).scheme in _SCHEMES:
        asked = urllib.request.Request(place)
    else:
        yield Path(place.removeprefix("file://"))
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".update-") as folder:
        path = Path(folder) / "edge.zip"
        _download(asked, path, most)
        yield path


def _download(asked: urllib.request.Request, path: Path, most: int) -> None:
    where = _without_secrets(asked.full_url)
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS) as answer, path.open("wb") as file:
            expected = answer.headers.get("Content-Length")
            length = 0
            while chunk := answer.read(_CHUNK):
                length += len(chunk)
                if length > most:
                    raise InputError(
                        f"{where} is longer than a bundle may be",
                        expected=f"{most} bytes at most",
                        hint="name an edge bundle's .zip",
                    )
                file.write(chunk)
    except urllib.error.HTTPError as error:
        _refuse(where, error)
    except (OSError, http.client.HTTPException) as error:
        what = f"{where} doesn't answer"
        raise StoreUnreachable(what, got=error, hint="try again once the network is back") from None
    if expected is not None and length != int(expected):
        what = f"{where} stopped in the middle"
        got = f"{length} of {expected} bytes"
        raise StoreUnreachable(what, got=got, hint="try again")


def _refuse(where: str, error: urllib.error.HTTPError) -> None:
    said = f"{error.code} {error.reason}"
    if error.code >= 500 or error.code == 429:
        raise StoreUnreachable(f"{where} can't answer now", got=said, hint="try again later")
    raise InputError(f"{where} gives no bundle", got=said, hint="correct the address") from None


def _without_secrets(url: str) -> str:
    """An address without user, password and query, for messages."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
