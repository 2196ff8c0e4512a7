"""Answers are those that MLflow 3.17 gave to the same questions."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest

from pcb_spark.core.errors import ConfigError, InputError, StoreUnreachable
from pcb_spark.serving import edge_mlflow

API = "/api/2.0/mlflow/"
PLACE = "models:/pcb@champion"


class Handler(http.server.BaseHTTPRequestHandler):
    """A registry of one model; ``artifact_uri`` is where its version lies."""

    artifact_uri: ClassVar[str]
    asked: ClassVar[list[tuple[str, str | None]]]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append((self.path, self.headers["Authorization"]))
        query = dict(parse_qsl(parts.query))
        if parts.path == f"{API}registered-models/alias":
            if query != {"name": "pcb", "alias": "champion"}:
                message = f"Registered model alias {query['alias']} not found."
                self._answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message})
                return
            self._answer(200, {"model_version": {"name": "pcb", "version": "7", "source": "x"}})
        elif parts.path == f"{API}model-versions/get-download-uri":
            assert query == {"name": "pcb", "version": "7"}
            self._answer(200, {"artifact_uri": self.artifact_uri})
        elif parts.path == f"{API}runs/get":
            uri = f"mlflow-artifacts:/1/{query['run_id']}/artifacts"
            self._answer(200, {"run": {"info": {"artifact_uri": uri}}})
        elif parts.path == f"{API}logged-models/m-0815":
            uri = "mlflow-artifacts:/3/models/m-0815/artifacts"
            self._answer(200, {"model": {"info": {"artifact_uri": uri}}})
        else:
            self._answer(503, {})

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.artifact_uri, Handler.asked = "mlflow-artifacts:/1/run/artifacts/edge", []
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("mlflow-artifacts:/1/run/artifacts/edge", "1/run/artifacts/edge/edge.zip"),
        ("mlflow-artifacts://host:5000/1/run/artifacts", "1/run/artifacts/edge.zip"),
        ("mlflow-artifacts:/1/run/artifacts/a b.zip", "1/run/artifacts/a%20b.zip"),
        ("runs:/ab12/bundle", "1/ab12/artifacts/bundle/edge.zip"),
        ("models:/m-0815", "3/models/m-0815/artifacts/edge.zip"),
    ],
)
def test_the_champions_bundle_is_asked_for(server: str, where: str, path: str) -> None:
    Handler.artifact_uri = where
    asked = edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": f"{server}/"})
    assert asked.full_url == f"{server}/api/2.0/mlflow-artifacts/artifacts/{path}"


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        (
            {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"},
            "Basic dTpw",
        ),
    ],
)
def test_credentials_are_those_of_mlflows_own_client(
    server: str, environment: dict[str, str], header: str | None
) -> None:
    asked = edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": server, **environment})
    assert {sent for _, sent in Handler.asked} == {header}
    assert asked.get_header("Authorization") == header


def test_files_that_lie_on_a_store_are_refused_with_the_reason(server: str) -> None:
    Handler.artifact_uri = "s3://bucket/1/run/artifacts"
    with pytest.raises(InputError, match=r"(?s)don't come through.*s3.*--serve-artifacts"):
        edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": server})


def test_a_model_that_is_not_there_is_told_in_the_registrys_words(server: str) -> None:
    with pytest.raises(InputError, match="alias challenger not found"):
        edge_mlflow.request_of("models:/pcb@challenger", {"MLFLOW_TRACKING_URI": server})


def test_what_is_no_registry_or_not_there_may_be_asked_again(server: str) -> None:
    with pytest.raises(StoreUnreachable, match="503"):
        edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": f"{server}/elsewhere"})
    with pytest.raises(StoreUnreachable, match="doesn't answer"):
        edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})


@pytest.mark.parametrize("place", ["models:/pcb", "models:/pcb/7", "models:pcb@champion"])
def test_a_place_that_is_written_otherwise_is_told(place: str) -> None:
    with pytest.raises(ConfigError, match="models:/NAME@ALIAS"):
        edge_mlflow.request_of(place, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "databricks"])
def test_no_server_to_ask_is_told(uri: str) -> None:
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI"):
        edge_mlflow.request_of(PLACE, {"MLFLOW_TRACKING_URI": uri})
