from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faults import prove_stores, servers
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_scores_that_differ_or_are_missing() -> None:
    one: prove_stores.Scores = {
        "a": ("1", "0x1.0p-1", "pass", False),
        "b": ("2", None, "fail", True),
    }
    assert prove_stores.differences(one, dict(one)) == []
    assert prove_stores.differences(one, {"a": one["a"]}) == ["b"]
    bit = {**one, "a": ("1", "0x1.0000000000001p-1", "pass", False)}
    assert prove_stores.differences(one, bit) == ["a"]


def test_secrets_are_found_in_files_and_in_compressed_tables(
    spark: SparkSession, tmp_path: Path
) -> None:
    secret = servers.AZURE_KEY
    files = {"bundle/manifest.json": f"{{'key': '{secret}'}}", "report.html": "x", "runs/a.db": "x"}
    drops.write(tmp_path, files)
    for table, text in (("runs", f"key={secret}"), ("metrics", "harmless")):
        rows = spark.createDataFrame([(b"x", text)] * 50, "image binary, inputs string")
        rows.write.parquet(str(tmp_path / table / "capture_date=2026-01-05"))
    assert prove_stores.leaks(spark, str(tmp_path)) == ["bundle/manifest.json", "runs"]
