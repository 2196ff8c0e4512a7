from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pcb_spark.core.errors import InputError, StoreUnreachable
from pcb_spark.serving import edge_update

CONTENT = bytes(range(256)) * 40


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        if self.path.startswith("/edge.zip"):
            self._answer(200, len(CONTENT))
        elif self.path == "/cut.zip":
            self._answer(200, len(CONTENT) + 100)
        else:
            self._answer(int(self.path[1:4]), len(CONTENT))

    def _answer(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def fetched(place: str, scratch: Path, most: int = 1 << 20) -> Iterator[Path]:
    with edge_update.fetched(place, scratch, most=most) as path:
        yield path


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    for place in (str(tmp_path / "edge"), f"file://{tmp_path}/edge"):
        with fetched(place, tmp_path) as path:
            assert path == tmp_path / "edge"


def test_a_download_is_whole_and_gone_afterwards(url: str, tmp_path: Path) -> None:
    with fetched(f"{url}/edge.zip?token=secret", tmp_path) as path:
        assert path.suffix == ".zip"
        assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("cut.zip", StoreUnreachable, "stopped in the middle"),
        ("503", StoreUnreachable, "503"),
        ("429", StoreUnreachable, "429"),
        ("404", InputError, "404"),
        ("403", InputError, "403"),
    ],
)
def test_what_does_not_come_through_is_told(
    url: str, tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message), fetched(f"{url}/{name}", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_more_than_a_bundle_has_is_not_read_on(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="longer than a bundle"):  # noqa: SIM117
        with fetched(f"{url}/edge.zip", tmp_path, most=1000):
            pass
    assert list(tmp_path.iterdir()) == []


def test_nobody_there_is_told_without_what_is_secret(tmp_path: Path) -> None:
    place = "http://user:password@127.0.0.1:9/edge.zip?token=secret"
    with pytest.raises(StoreUnreachable) as caught, fetched(place, tmp_path):
        pass
    assert "http://127.0.0.1:9/edge.zip" in str(caught.value)
    assert "password" not in str(caught.value)
    assert "secret" not in str(caught.value)
