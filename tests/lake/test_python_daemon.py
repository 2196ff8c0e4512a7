"""Workers read an archive's directory once, and again where the archive changed."""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
import zipimport
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import python_daemon

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """On the path of this process, which keeps what it read of archives until the test ends."""
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("zipped_first.py", "")
    monkeypatch.setattr(
        zipimport.zipimporter, "invalidate_caches", zipimport.zipimporter.invalidate_caches
    )
    monkeypatch.syspath_prepend(str(path))
    python_daemon.keep_archives()
    importlib.invalidate_caches()
    yield path
    sys.path_importer_cache.pop(str(path), None)


def found(name: str) -> bool:
    importlib.invalidate_caches()
    return importlib.util.find_spec(name) is not None


def test_an_archive_that_is_as_it_was_is_not_read_again(archive: Path) -> None:
    assert found("zipped_first")
    importlib.invalidate_caches()
    was = archive.stat()
    archive.write_bytes(b"\0" * was.st_size)
    os.utime(archive, ns=(was.st_atime_ns, was.st_mtime_ns))

    assert found("zipped_first")


def test_an_archive_that_changed_is_read_again(archive: Path) -> None:
    assert not found("zipped_second")
    with zipfile.ZipFile(archive, "a") as made:
        made.writestr("zipped_second.py", "")

    assert found("zipped_second")


def test_an_archive_that_went_is_forgotten(archive: Path) -> None:
    archive.unlink()

    assert not found("zipped_first")


def test_workers_of_a_local_session_are_forked_so(spark: SparkSession) -> None:
    def where(_: int) -> str:
        return zipimport.zipimporter.invalidate_caches.__code__.co_filename

    [file] = spark.sparkContext.parallelize([0], 1).map(where).collect()

    assert file == python_daemon.__file__
