from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import filesystem
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_entries_of_a_folder(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(tmp_path / "folder", {"a.json": "12345", "b/c.json": "1"})
    found = {entry.name: entry for entry in filesystem.entries(spark, str(tmp_path / "folder"))}
    assert set(found) == {"a.json", "b"}
    assert found["a.json"].length == 5
    written = (tmp_path / "folder" / "a.json").stat().st_mtime
    assert found["a.json"].modified_ms == pytest.approx(written * 1000, abs=1000)
    assert filesystem.entries(spark, str(tmp_path / "nowhere")) == []


def test_files_keep_names_that_an_uri_would_escape(spark: SparkSession, tmp_path: Path) -> None:
    source = drops.write(tmp_path / "a folder", {"line=L1/50% off.json": b"{}"})
    (tmp_path / "down").mkdir()

    filesystem.upload(spark, source / "line=L1" / "50% off.json", str(tmp_path / "up/50% off.json"))
    filesystem.download(spark, str(tmp_path / "up"), tmp_path / "down")

    assert (tmp_path / "down" / "50% off.json").read_bytes() == b"{}"
