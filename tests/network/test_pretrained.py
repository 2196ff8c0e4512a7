from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pcb_spark.core.errors import BackboneError
from pcb_spark.lake import folders
from pcb_spark.network import pretrained
from pcb_spark.network.pretrained import SOURCES, WeightsSource
from tests import graphs

CONTENT = b"seven bytes and some more"
SHA256 = "0e23c07761baad04fd6a8e57e13a1ab0838f15b1b60b122f283b252362ebc407"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output free of requests."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a loopback server that has ``good.onnx`` and ``other.onnx``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(folders.OFFLINE, raising=False)
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "good.onnx").write_bytes(CONTENT)
    (folder / "other.onnx").write_bytes(b"something else")
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def source(*urls: str) -> WeightsSource:
    return WeightsSource(
        name="tiny", urls=urls, sha256=SHA256, size=25, licence="MIT", note="for tests"
    )


def fetch(cache: Path, *urls: str) -> Path:
    return pretrained.fetch(source(*urls), cache_dir=cache, timeout_s=5)


def test_download_lands_in_the_cache(site: str, tmp_path: Path) -> None:
    path = fetch(tmp_path / "cache", f"{site}/good.onnx")
    assert path == tmp_path / "cache" / "tiny.onnx"
    assert path.read_bytes() == CONTENT


def test_addresses_are_tried_until_one_has_the_file(
    site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = fetch(tmp_path, f"{site}/none.onnx", f"{site}/other.onnx", f"{site}/good.onnx")
    assert path.read_bytes() == CONTENT
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "404" in caplog.messages[0]
    assert "hash" in caplog.messages[1]


def test_cached_file_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(CONTENT)
    path = fetch(tmp_path, "http://127.0.0.1:1/good.onnx")
    assert path.read_bytes() == CONTENT


def test_offline_the_cached_file_is_all_there_is(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(folders.OFFLINE, "1")
    with pytest.raises(BackboneError, match="tiny can't be downloaded") as caught:
        fetch(tmp_path, f"{site}/good.onnx")
    assert caught.value.got == f"no such file in {tmp_path}, and PCB_SPARK_OFFLINE is set"
    (tmp_path / "tiny.onnx").write_bytes(CONTENT)
    assert fetch(tmp_path, f"{site}/good.onnx").read_bytes() == CONTENT


def test_damaged_file_in_the_cache_is_replaced(site: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"damaged")
    assert fetch(tmp_path, f"{site}/good.onnx").read_bytes() == CONTENT


def test_failed_download_says_why_and_what_to_do(site: str, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="tiny can't be downloaded") as caught:
        fetch(tmp_path, "http://127.0.0.1:1/x", f"{site}/none.onnx", f"{site}/other.onnx")
    assert caught.value.got == (
        "127.0.0.1: ConnectionError, 127.0.0.1: HTTPError, 127.0.0.1: another sha256"
    )
    assert caught.value.expected == f"25 bytes with sha256 {SHA256}"
    assert f"bring the file to {tmp_path / 'tiny.onnx'}" in str(caught.value)
    assert not (tmp_path / "tiny.onnx").exists()


def test_pinned_resnet50_is_the_model_zoos() -> None:
    zoo = SOURCES["resnet50-v1-12"]
    assert zoo.size == 102_576_593
    assert zoo.sha256 == "3f03fdef724b22947eed826f1eef1dc5c34151bb4c37d634f1db89dfa2dd1526"
    assert zoo.licence == "Apache-2.0"
    assert all(url.startswith("https://") for url in zoo.urls)
    assert all(url.endswith("/resnet50-v1-12.onnx") for url in zoo.urls)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"none\.onnx can't be read") as caught:
        pretrained.read(tmp_path / "none.onnx")
    assert caught.value.got == "No such file or directory"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="Is a directory"):
        pretrained.read(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(BackboneError, match="got: an empty file"):
        pretrained.read(tmp_path / "empty.onnx")


def test_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "some.onnx").write_bytes(b"\x08\x08abc")
    assert pretrained.read(tmp_path / "some.onnx") == b"\x08\x08abc"


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:3f0\n",
         "text that begins 'version https://git-lfs.github.com/spec/'"),
        (b"<!DOCTYPE html>\r\n\t<title>Sign in</title>", "text that begins '<!DOCTYPE html>"),
        (b"\0" * 100, "100 bytes, truncated or damaged"),
        (b"\xff\xfe\x08\x08\x12", "5 bytes, truncated or damaged"),
        (b"\x08\x08", "an invalid model: "),
    ],
)  # fmt: skip
def test_what_is_no_onnx_model_is_refused(content: bytes, got: str) -> None:
    with pytest.raises(BackboneError, match=r"the weights w\.onnx aren't an ONNX model") as caught:
        pretrained.parse(content, "w.onnx")
    assert got in str(caught.value)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated_model_is_refused(kept: float) -> None:
    content = graphs.basic_blocks(2).SerializeToString()
    with pytest.raises(BackboneError, match="bytes, truncated or damaged"):
        pretrained.parse(content[: int(len(content) * kept)], "w.onnx")


def test_weights_in_another_file_are_refused() -> None:
    with pytest.raises(BackboneError, match="are kept in other files") as caught:
        pretrained.parse(graphs.external_weights().SerializeToString(), "w.onnx")
    assert caught.value.got == "weights.bin"


def test_model_is_parsed() -> None:
    model = pretrained.parse(graphs.basic_blocks(2).SerializeToString(), "w.onnx")
    assert len(model.graph.node) == 11
