"""A service as it runs: a process of its own on loopback, under load, exchanged, and ended."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.serving import services

PAIRS = services.pairs(4)
BODY = json.dumps(services.encoded(PAIRS, board_id="board-4711")).encode()


class Held:
    """A request of which a half is sent: it is in progress until the rest comes."""

    def __init__(self, service: services.Running, token: str) -> None:
        address = urlsplit(service.url)
        self._socket = socket.create_connection((str(address.hostname), address.port or 0))
        head = [
            "POST /v1/inspect HTTP/1.1", "Host: plant", "Content-Type: application/json",
            f"Content-Length: {len(BODY)}", f"Authorization: Bearer {token}", "", "",
        ]  # fmt: skip
        self._socket.sendall("\r\n".join(head).encode() + BODY[:1000])

    def finish(self) -> tuple[int, dict[str, Any]]:
        """Send the rest, and read the answer."""
        self._socket.sendall(BODY[1000:])
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        found = answer.status, json.loads(answer.read())
        answer.close()
        self._socket.close()
        return found


@pytest.fixture
def token(tmp_path: Path) -> str:
    return services.token(tmp_path / "keys.json", "score", "admin")


@pytest.fixture
def service(folder: Path, tmp_path: Path, token: str) -> Iterator[services.Running]:
    """A service that does one request at a time."""
    assert token
    flags = ["--keys", str(tmp_path / "keys.json"), "--max-requests", "1"]
    with services.running(folder, tmp_path / "log", *flags) as running:
        yield running


def in_progress(service: services.Running) -> int:
    lines = service.get("/metrics").text.splitlines()
    (line,) = [each for each in lines if each.startswith("pcb_requests_in_progress ")]
    return int(float(line.split()[1]))


def is_closed(service: services.Running) -> bool:
    address = urlsplit(service.url)
    try:
        socket.create_connection((str(address.hostname), address.port or 0)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_one_too_many_comes_back_later_and_what_is_in_progress_is_answered_before_the_end(
    service: services.Running, token: str
) -> None:
    held = Held(service, token)
    services.until(lambda: in_progress(service) == 1)

    busy = httpx2.post(
        service.url + "/v1/inspect", headers=services.bearer(token), files=services.files(PAIRS)
    )
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
    assert busy.json()["error"]["code"] == "busy"
    assert service.get("/readyz").status_code == 503
    assert service.get("/healthz").status_code == 200

    service.process.send_signal(signal.SIGTERM)
    services.until(lambda: is_closed(service))
    status, answer = held.finish()

    assert service.process.wait(60) == 0
    assert status == 200
    expected = services.told_by_core(services.deciding(), PAIRS)
    assert [(each["probability"], each["decision"]) for each in answer["results"]] == expected
    log = service.log()
    assert f"request={answer['request_id']}" in log
    for secret in (token, token.split("_", 2)[2], "board-4711", BODY[200:260].decode()):
        assert secret not in log


def test_model_is_exchanged_under_load_without_a_request_lost_or_decided_by_a_mixture(
    tmp_path: Path,
) -> None:
    seeds = {"a": 5, "b": 6}
    made = {name: services.model(seed=seed, model_version=name) for name, seed in seeds.items()}
    link = tmp_path / "champion"
    link.symlink_to(services.write(tmp_path / "a", made["a"]))
    services.write(tmp_path / "b", made["b"], hours=1)
    expected = {name: services.told_by_core(each, PAIRS) for name, each in made.items()}
    flags = ["--without-keys", "--watch-seconds", "0.05", "--max-requests", "8"]
    answers: list[httpx2.Response] = []
    ended = threading.Event()

    def ask(url: str) -> None:
        with httpx2.Client(timeout=60) as client:
            while not ended.is_set():
                answers.append(client.post(url + "/v1/inspect", files=services.files(PAIRS)))

    def seen(version: str, count: int) -> bool:
        found = [each for each in answers if each.json().get("model_version") == version]
        return len(found) >= count

    with services.running(link, tmp_path / "log", *flags) as service:
        askers = [threading.Thread(target=ask, args=(service.url,)) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            services.until(lambda: seen("a", 8))
            turn(link, tmp_path / "b")
            services.until(lambda: seen("b", 8))
            (tmp_path / "b" / "graph.onnx").write_bytes(b"tampered")
            services.until(lambda: service.get("/metrics").text.count('outcome="refused"} 1.0'))
            count = sum(each.json()["model_version"] == "b" for each in answers)
            services.until(lambda: seen("b", count + 8))
        finally:
            ended.set()
            for asker in askers:
                asker.join()
        assert "new model refused, b goes on" in service.log()
    assert {each.status_code for each in answers} == {200}
    for each in answers:
        found = each.json()
        told = [(result["probability"], result["decision"]) for result in found["results"]]
        assert told == expected[found["model_version"]]


def turn(link: Path, target: Path) -> None:
    other = link.with_name("turned")
    other.symlink_to(target)
    other.replace(link)
