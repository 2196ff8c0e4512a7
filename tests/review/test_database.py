from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pcb_spark.core.errors import ConfigError, StoreUnreachable
from pcb_spark.review import database, exports, pseudonyms, queue, tables
from tests import reviews

_ENTERING = """
import sys
from pcb_spark.review import database, verdicts
from tests import reviews
engine = database.open_store(sys.argv[1])
for number in range(1000):
    entry = verdicts.Entry(entry_id=f"e{number}", item_id=f"i{number}", state="DefectRejected")
    verdicts.enter(engine, reviews.ANNA, entry)
    print(number, flush=True)
"""


def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = database.open_store(f"sqlite:///{tmp_path}/v.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.METADATA) == []
    engine.dispose()


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    engine = database.open_store(f"sqlite:///{tmp_path}/v.db")
    with engine.connect() as connection:
        found = [connection.scalar(sa.text(f"PRAGMA {p}")) for p in ("journal_mode", "synchronous")]
    engine.dispose()

    assert found == ["wal", 2]


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/v.db"
    engine = database.open_store(url)
    queue.load(engine, [reviews.item(f"i{number}") for number in range(1000)])
    engine.dispose()
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", _ENTERING, url],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    ) as entering:  # fmt: skip
        assert entering.stdout is not None
        for line in entering.stdout:
            if int(line) == 30:
                entering.send_signal(signal.SIGKILL)
                break
        acknowledged = 31 + len(entering.stdout.readlines())

    engine = database.open_store(url)
    stored = [entry["item_id"] for entry in exports.said(engine)]
    engine.dispose()
    # One more may be on the disk, whose acknowledgement nobody has read.
    assert stored in (
        [f"i{n}" for n in range(acknowledged)],
        [f"i{n}" for n in range(acknowledged + 1)],
    )


@pytest.mark.parametrize("url", ["no url", "mysql://host/verdicts"])
def test_a_store_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="verdict store"):
        database.open_store(url)


def test_a_store_that_does_not_answer_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="doesn't answer"):
        database.open_store(f"sqlite:///{tmp_path}/nowhere/v.db")


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(StoreUnreachable) as caught:
        database.open_store("postgresql://anna:geheim@127.0.0.1:1/verdicts")
    assert "geheim" not in str(caught.value)


def test_the_same_name_has_the_same_pseudonym_as_long_as_the_key_is_there(tmp_path: Path) -> None:
    first = pseudonyms.read(tmp_path / "a.key").of("Anna")

    assert first.startswith("op-")
    assert "Anna" not in first
    assert pseudonyms.read(tmp_path / "a.key").of("Anna") == first
    assert pseudonyms.read(tmp_path / "a.key").of("Ben") != first
    assert pseudonyms.read(tmp_path / "b.key").of("Anna") != first
    assert (tmp_path / "a.key").stat().st_mode & 0o077 == 0


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_text("abcd")

    with pytest.raises(ConfigError, match="no key of pseudonyms"):
        pseudonyms.read(tmp_path / "a.key")
