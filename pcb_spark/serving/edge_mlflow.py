"""The champion out of an MLflow registry, by its REST interface and the standard library alone.

``models:/NAME@ALIAS`` is asked for at ``MLFLOW_TRACKING_URI``: the version behind the alias, where
its files lie, and then of these ``edge.zip``. Files come through the server (``--serve-artifacts``,
the default), so that an edge machine needs no credentials of a store.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from pcb_spark.core.errors import ConfigError, InputError, StoreUnreachable

TRACKING_URI: Final = "MLFLOW_TRACKING_URI"
BUNDLE: Final = "edge.zip"
_TOKEN, _USER, _PASSWORD = (f"MLFLOW_TRACKING_{name}" for name in ("TOKEN", "USERNAME", "PASSWORD"))
_MODEL: Final = re.compile(r"models:/([^/@]+)@([^/@]+)")
_RUN: Final = re.compile(r"runs:/(\w+)/?(.*)")
_LOGGED: Final = re.compile(r"models:/(m-\w+)/?(.*)")
_SECONDS: Final = 30.0
_MOST: Final = 1 << 20  # bytes of an answer that isn't the bundle


def is_model(place: str) -> bool:
    """Say whether a place is a model of a registry."""
    return place.startswith("models:")


def request_of(place: str, environment: Mapping[str, str] = os.environ) -> urllib.request.Request:
    """Give the request that downloads the edge bundle behind ``models:/NAME@ALIAS``.

    Raises
    ------
    ConfigError : no tracking server is named, or the place isn't written so.
    InputError : the registry knows no such model, or doesn't hand its files out.
    StoreUnreachable : it doesn't answer.
    """
    found = _MODEL.fullmatch(place)
    if found is None:
        what = f"{place} can't be understood"
        raise ConfigError(what, expected="models:/NAME@ALIAS", hint="e.g. models:/pcb@champion")
    server = environment.get(TRACKING_URI, "").rstrip("/")
    if urlsplit(server).scheme not in ("http", "https"):
        what = f"{place} needs a tracking server"
        hint = f"set {TRACKING_URI}=https://…"
        raise ConfigError(what, got=f"{TRACKING_URI}={server}", hint=hint)
    registry = _Registry(server, _headers(environment))
    return registry.request(registry.path_of(*found.groups()))


class _Registry:
    def __init__(self, server: str, headers: Mapping[str, str]) -> None:
        self._server, self._headers = server, headers

    def request(self, path: str) -> urllib.request.Request:
        """Ask for a file that the server hands out."""
        address = f"{self._server}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
        return urllib.request.Request(address, headers=dict(self._headers))

    def path_of(self, name: str, alias: str) -> str:
        """Where the bundle behind an alias lies, below what the server hands out."""
        told = self._ask("registered-models/alias", name=name, alias=alias)["model_version"]
        where = self._ask(
            "model-versions/get-download-uri", name=name, version=told["version"]
        )["artifact_uri"]  # fmt: skip
        where = self._resolved(where)
        parts = urlsplit(where)
        if parts.scheme != "mlflow-artifacts":
            raise InputError(
                f"the files of {name}@{alias} don't come through the tracking server",
                expected="mlflow-artifacts:/…",
                got=f"{parts.scheme or 'a path'}: {parts.path}",
                hint="start it with --serve-artifacts, or fetch edge.zip in another way",
            )
        path = parts.path.strip("/")
        return path if path.endswith(".zip") else f"{path}/{BUNDLE}"

    def _resolved(self, where: str) -> str:
        """The address behind the files of a run or of a logged model."""
        run, logged = _RUN.fullmatch(where), _LOGGED.fullmatch(where)
        if run:
            found, below = self._ask("runs/get", run_id=run[1])["run"], run[2]
        elif logged:
            found, below = self._ask(f"logged-models/{logged[1]}")["model"], logged[2]
        else:
            return where
        return "/".join(filter(None, (found["info"]["artifact_uri"], below)))

    def _ask(self, what: str, **query: str) -> Any:
        address = f"{self._server}/api/2.0/mlflow/{what}" + (
            f"?{urlencode(query)}" if query else ""
        )
        asked = urllib.request.Request(address, headers=dict(self._headers))
        try:
            with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:
                return json.loads(answer.read(_MOST))
        except urllib.error.HTTPError as error:
            said = _message(error)
            if error.code >= 500 or error.code == 429:
                what = f"{self._server} can't answer now"
                raise StoreUnreachable(what, got=said, hint="try again later") from None
            what = f"{self._server} gives no such model"
            raise InputError(what, got=said, hint="correct name, alias or credentials") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = f"{self._server} doesn't answer as a tracking server does"
            raise StoreUnreachable(what, got=error, hint=f"correct {TRACKING_URI}") from None


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Credentials as MLflow's own client takes them from the environment."""
    token, user = environment.get(_TOKEN), environment.get(_USER)
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{environment.get(_PASSWORD, '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _message(error: urllib.error.HTTPError) -> str:
    """What the registry says of it."""
    try:
        told = json.loads(error.read(_MOST))["message"]
    except (ValueError, KeyError, TypeError, OSError):
        told = error.reason
    return f"{error.code} {told}"
