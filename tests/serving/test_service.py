"""The command: its words, its exit codes, and what it doesn't load."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import pcb_spark
from pcb_spark.serving import keys, service
from tests import edge

HEAVY = {"pyspark", "py4j", "pandas", "scipy", "pyarrow", "petastorm", "onnx", "lightgbm", "cv2"}


def test_key_is_shown_once_and_then_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    words = ["key", "--keys", str(path), "--name", "line-3", "--scope", "score", "--days", "90"]
    assert service.main([*words, "--scope", "review"]) == 0
    token = capsys.readouterr().out.strip()
    (key,) = keys.read(path)
    assert (key.name, key.scopes) == ("line-3", ("score", "review"))
    assert key.expires_at is not None
    assert keys.KeyRing(path).find(token) == key

    assert service.main(["key", "--keys", str(path), "--revoke", key.id]) == 0
    assert keys.read(path) == ()
    assert service.main(["key", "--keys", str(path), "--revoke", key.id]) == 2


@pytest.fixture
def trusted(tmp_path: Path) -> str:
    path = tmp_path / "plant.pub"
    path.write_text(edge.PLANT.public.text())
    return str(path)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--bundle", "nowhere", "--without-keys"], 7, "there is no edge bundle nowhere"),
        (["--bundle", "nowhere", "--keys", "none.json"], 2, "no file of API keys at none.json"),
        (["--bundle", "x", "--without-keys", "--max-batch", "0"], 2, "--max-batch is too small"),
        (["--bundle", "x", "--without-keys", "--port", "70000"], 2, "can't listen at"),
        (["--bundle", "x", "--without-keys", "--trust", "no.pub"], 4, "no.pub"),
    ],
)
def test_start_that_cannot_be_says_why(
    trusted: str, flags: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert service.main(["start", "--trust", trusted, "--port", "0", *flags]) == code
    assert message in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_port_in_use_is_told(trusted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        words = ["start", "--trust", trusted, "--bundle", "x", "--without-keys", "--port"]
        assert service.main([*words, str(other.getsockname()[1])]) == 2
    assert "name a free --port" in capsys.readouterr().err


def test_service_has_keys_or_says_that_it_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        service.main(["start", "--bundle", "x", "--trust", "x"])
    assert "one of the arguments --keys --without-keys is required" in capsys.readouterr().err


def test_missing_extra_is_named(
    trusted: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    words = ["start", "--trust", trusted, "--bundle", "x", "--without-keys"]
    assert service.main(words) == 3
    assert "pip install 'pcb-spark[service]'" in capsys.readouterr().err


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        service.main(["--version"])
    assert capsys.readouterr().out == f"{pcb_spark.__version__}\n"


def test_service_loads_neither_spark_nor_what_trains() -> None:
    code = "import json, sys\nfrom pcb_spark.serving import app, served, service\n"
    code += "print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in json.loads(done.stdout)} & HEAVY == set()
