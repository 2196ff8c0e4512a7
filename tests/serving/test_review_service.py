"""The commands of the review page."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from faults import review_desk
from pcb_spark.core import verifications
from pcb_spark.review import database, queue, verdicts
from pcb_spark.serving import keys, service
from tests import reviews
from tests.serving import services


def review(folder: Path, *flags: str) -> int:
    told = [
        "--items", str(folder), "--store", f"sqlite:///{folder}/v.db",
        "--operator-key", str(folder / "operators.key"), "--port", "0",
    ]  # fmt: skip
    return service.main(["review", *told, *flags])


def setup(url: str, headers: dict[str, str]) -> dict[str, Any]:
    asking = urllib.request.Request(f"{url}/v1/review/setup", headers=headers)
    with urllib.request.urlopen(asking, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_a_missing_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    assert review(tmp_path) == 3
    assert "pip install 'pcb-spark[service]'" in capsys.readouterr().err


def test_nobody_could_log_in_and_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(tmp_path) == 2
    assert "nobody could log in" in capsys.readouterr().err


def test_a_folder_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services.token(tmp_path / "keys.json", keys.OPERATOR)

    assert review(tmp_path / "queue", "--keys", str(tmp_path / "keys.json")) == 2
    assert "is no folder" in capsys.readouterr().err


def test_settings_that_mean_nothing_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "review.toml").write_text("kind = 3")

    assert review(tmp_path, "--settings", str(tmp_path / "review.toml")) == 2
    assert "kind: Extra inputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [("rows", "verdict", "fail"), ("cfx", "MessageName", verifications.MESSAGE)],
)
def test_verdicts_are_written_into_a_file(
    tmp_path: Path, form: str, name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, to = f"sqlite:///{tmp_path}/v.db", tmp_path / "review.jsonl"
    engine = database.open_store(url)
    queue.load(engine, [reviews.item("a")])
    verdicts.enter(engine, reviews.ANNA, reviews.entry("a", "DefectConfirmed"))
    engine.dispose()

    assert service.main(["verdicts", "--store", url, "--form", form, "--to", str(to)]) == 0
    assert capsys.readouterr().out == f"1 verdicts in {to}\n"
    assert json.loads(to.read_text())[name] == value


def test_a_store_that_is_not_there_has_no_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--store", f"sqlite:///{tmp_path}/v.db", "--to", str(tmp_path / "review.jsonl")]

    assert service.main(["verdicts", *told]) == 12
    assert "there is no verdict store" in capsys.readouterr().err


def test_a_proxy_beside_it_says_who_somebody_is_whatever_it_says_of_its_client(
    tmp_path: Path,
) -> None:
    reviews.folder(tmp_path / "items", [reviews.item("a")])
    (tmp_path / "review.toml").write_text('[proxy]\naddresses = ["127.0.0.1"]\n')
    running = review_desk.Service(tmp_path, "--settings", str(tmp_path / "review.toml"))
    running.start()
    try:
        told = {"X-Forwarded-User": "Anna", "X-Forwarded-For": "10.1.2.3"}
        assert setup(running.url, told)["roles"] == ["operator"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            setup(running.url, {"X-Forwarded-For": "127.0.0.1"})
    finally:
        running.kill()
