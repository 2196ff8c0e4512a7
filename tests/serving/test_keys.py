from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.serving import keys


def test_file_holds_the_hash_and_not_the_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    token, key = keys.make("line-3", [keys.SCORE])
    keys.write(path, [key])
    secret = token.split("_", 2)[2]
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert keys.KeyRing(path).find(token) == key


def test_who_may_read_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys.write(path, [])
    path.chmod(0o640)
    keys.write(path, [keys.make("line-3", [keys.SCORE])[1]])
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        keys.write(tmp_path / "nowhere" / "keys.json", [])


@pytest.mark.parametrize(
    "wrong", ["", "pcb_", "Bearer", "pcb_00000000_" + "A" * 43, "pcb_é", "x" * 10_000]
)
def test_what_is_no_key_finds_none(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "keys.json"
    keys.write(path, [keys.make("line-3", [keys.SCORE])[1]])
    assert keys.KeyRing(path).find(wrong) is None


def test_secret_of_another_key_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    (one, first), (other, second) = (keys.make(name, [keys.SCORE]) for name in ("a", "b"))
    keys.write(path, [first, second])
    mixed = "_".join(["pcb", first.id, other.split("_", 2)[2]])
    ring = keys.KeyRing(path)
    assert ring.find(mixed) is None
    assert ring.find(one) == first


def test_new_key_is_valid_beside_the_old_one_until_that_is_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old, first = keys.make("line-3", [keys.SCORE])
    keys.write(path, [first])
    ring = keys.KeyRing(path)

    new, second = keys.make("line-3", [keys.SCORE])
    keys.write(path, [first, second])
    assert [ring.find(each) for each in (old, new)] == [first, second]

    keys.write(path, [second])
    assert [ring.find(each) for each in (old, new)] == [None, second]


def test_who_asks_while_the_file_is_read_again_waits_for_the_new_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    _, old = keys.make("old", (keys.SCORE,))
    token, new = keys.make("new", (keys.SCORE,))
    keys.write(path, [old])
    ring, found = keys.KeyRing(path), []
    keys.write(path, [old, new])
    read = keys.read
    other = threading.Thread(target=lambda: found.append(ring.find(token)))

    def slowly(file: Path) -> tuple[keys.Key, ...]:
        other.start()
        other.join(timeout=0.2)  # long enough for an answer that doesn't wait
        return read(file)

    monkeypatch.setattr(keys, "read", slowly)
    assert ring.find(token) == new
    other.join()
    assert found == [new]


def test_key_expires(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    token, key = keys.make("line-3", [keys.SCORE], days=1, now=datetime(2026, 1, 5, tzinfo=UTC))
    keys.write(path, [key])
    assert key.is_valid(datetime(2026, 1, 5, 23, 59, tzinfo=UTC))
    assert not key.is_valid(datetime(2026, 1, 6, tzinfo=UTC))
    assert keys.KeyRing(path).find(token) is None


def test_broken_file_leaves_the_keys_of_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    token, key = keys.make("line-3", [keys.SCORE])
    keys.write(path, [key])
    ring = keys.KeyRing(path)
    path.write_text("{")
    assert ring.find(token) == key
    assert "the API keys of before stay" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", '{"keys": [1]}', '{"keys": [{"id": "a"}]}', b"\xff".decode("latin-1"),
        json.dumps({"keys": [{
            "id": "a", "name": "n", "scopes": ["root"], "sha256": "", "created_at": "",
        }]}),
        json.dumps({"keys": [{
            "id": "a", "name": "n", "scopes": [], "sha256": "", "created_at": "",
            "expires_at": "2026-01-05",
        }]}),
    ],
)  # fmt: skip
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is no file of API keys"):
        keys.KeyRing(path)


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pcb-serve key --keys"):
        keys.KeyRing(tmp_path / "keys.json")
