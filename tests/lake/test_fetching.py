"""Spark's own Ivy and a mirror on loopback: a JVM that fetches as ``pcb-spark jars`` does."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pcb_spark.core.errors import EnvironmentFault
from pcb_spark.lake import folders, jars

pytestmark = pytest.mark.slow

FOLDER = "/org/example/tool/1.0"
POM = b"""<project><modelVersion>4.0.0</modelVersion>
<groupId>org.example</groupId><artifactId>tool</artifactId><version>1.0</version></project>"""
SETTINGS = """<ivysettings><settings defaultResolver="plant"/>
<resolvers><ibiblio name="plant" m2compatible="true" root="{root}/"/></resolvers></ivysettings>"""


class Mirror(ThreadingHTTPServer):
    """A Maven repository with one artifact, out of service for the first ``refusals`` requests."""

    refusals = 0

    def __init__(self) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as jar:
            jar.writestr("org/example/Tool.txt", "a tool")
        self.files = {f"{FOLDER}/tool-1.0.pom": POM, f"{FOLDER}/tool-1.0.jar": archive.getvalue()}
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        if self.server.refusals > 0:
            self.server.refusals -= 1
            self.send_error(503)
        elif content is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output free of requests."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror, an empty cache, and a test's Java options that hide every host from a JVM."""
    hosts = tmp_path / "hosts"
    hosts.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Djdk.net.hosts.file={hosts}")
    monkeypatch.delenv(folders.OFFLINE)
    with Mirror() as server:
        root = f"http://localhost:{server.server_port}"
        (tmp_path / "ivy.xml").write_text(SETTINGS.format(root=root), encoding="utf-8")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(tmp_path: Path, version: str) -> dict[str, str]:
    return {
        jars.PACKAGES: f"org.example:tool:{version}",
        "spark.jars.ivySettings": str(tmp_path / "ivy.xml"),
    }


def test_jars_come_although_a_server_fails_first_and_names_are_hidden(
    mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror.refusals = 2
    with caplog.at_level("WARNING"):
        found = jars.resolve(asked(tmp_path, "1.0"))
    assert [path.name for path in found] == ["org.example_tool-1.0.jar"]
    assert "try 1 of 3: org.example#tool;1.0: not found; SERVER ERROR" in caplog.text


@pytest.mark.usefixtures("mirror")
def test_a_version_that_no_server_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="can't be resolved") as caught:
        jars.resolve(asked(tmp_path, "2.0"))
    assert caught.value.got == "org.example#tool;2.0: not found"
    assert caught.value.expected == "org.example:tool:2.0"
