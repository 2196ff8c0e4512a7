from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pcb_spark.monitor import hooks
from pcb_spark.monitor.settings import MonitorConfig

MESSAGE = {"run_id": "r1", "alarms": ["alarm of 2026-03-01: line L2"]}


class Site:
    """An address that answers with these codes, one after the other, and keeps what it was told."""

    def __init__(self, codes: list[int]) -> None:
        told: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(codes[len(told) - 1])
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook?token=secret"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site([503, 204, 500, 500])
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_webhook_is_told_until_it_answers_and_not_beyond_its_tries(site: Site) -> None:
    settings = MonitorConfig(webhook=site.address, tries=2)

    assert hooks.tell(settings, MESSAGE, pause=0) == []
    assert [json.loads(body) for body in site.told] == [MESSAGE, MESSAGE]

    (failed,) = hooks.tell(settings, MESSAGE, pause=0)
    assert failed == "the webhook was told of the alarm 2 times in vain: HTTP 500"
    assert "secret" not in failed


def test_a_command_reads_the_message(tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    script = f"import sys, pathlib; pathlib.Path({str(file)!r}).write_text(sys.stdin.read())"

    assert hooks.tell(MonitorConfig(command=(sys.executable, "-c", script)), MESSAGE) == []
    assert json.loads(file.read_text()) == MESSAGE


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), "exit code 3"),
        (("/nowhere/at-all",), "FileNotFoundError"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "TimeoutExpired"),
    ],
)
def test_a_command_that_fails_ends_no_night(command: tuple[str, ...], cause: str) -> None:
    settings = MonitorConfig(command=command, tries=2, timeout_seconds=0.5)

    (failed,) = hooks.tell(settings, MESSAGE, pause=0)

    assert failed.endswith(f"was told of the alarm 2 times in vain: {cause}")


def test_nobody_is_told_where_nobody_is_named() -> None:
    assert hooks.tell(MonitorConfig(), MESSAGE) == []


def test_a_webhook_is_an_address() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        MonitorConfig(webhook="ftp://there")
