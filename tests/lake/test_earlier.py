"""``metrics`` and ``scores`` as version 0.1 wrote them, alone and beside rows of today."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import schemas, tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
EARLIER = (
    "run_id string, model_version string, scope string, metric string, value double, "
    "lower double, upper double, n bigint, computed_at timestamp"
)


def write_earlier(spark: SparkSession, uri: str, *rows: tuple[str, str, float | None, int]) -> None:
    full = [("r1", "v1", *row[:3], 0.25, None, row[3], NOW) for row in rows]
    spark.createDataFrame(full, EARLIER).write.parquet(uri)


def read(spark: SparkSession, uri: str) -> list[tuple[object, ...]]:
    found = tables.read(spark, uri, schemas.METRICS)
    assert found.columns == schemas.METRICS.names
    columns = ("scope_kind", "scope_value", "metric", "value", "n")
    return sorted((tuple(row) for row in found.select(*columns).collect()), key=str)


@pytest.mark.parametrize(
    ("earlier", "today"),
    [
        (("overall", "roc_auc", 0.9, 60), ("overall", None, "roc_auc", 0.9, 60)),
        (("folds_mean", "roc_auc", None, 0), ("folds_mean", None, "roc_auc", None, 0)),
        (("fold=3", "roc_auc", 0.9, 20), ("fold", "3", "roc_auc", 0.9, 20)),
        (("forward", "slip_rate", 0.01, 9), ("forward", None, "slip_rate", 0.01, 9)),
        (("forward=3", "slip_rate", 0.01, 9), ("forward", "3", "slip_rate", 0.01, 9)),
        (("lot=a=b c", "brier", 0.1, 9), ("lot", "a=b c", "brier", 0.1, 9)),
        (
            ("reliability=0.3-0.4", "fail_share", 0.3, 9),
            ("reliability", "0.3-0.4", "fail_share", 0.3, 9),
        ),
        (
            ("day=2026-01-06", "new_size 448x320", 12.0, 12),
            ("size", "448x320", "first_day", 20260106.0, 12),
        ),
        (
            ("day=2026-01-06", "new_format PNG colour", 2.0, 2),
            ("format", "PNG colour", "first_day", 20260106.0, 2),
        ),
        (
            ("day=2026-01-06", "new_part_number empty", 3.0, 3),
            ("empty", "part_number", "first_day", 20260106.0, 3),
        ),
        (("day=2026-01-06", "images", 12.0, 12), ("day", "2026-01-06", "images", 12.0, 12)),
        (("column=width", "missing", 1.0, 1), ("column", "width", "missing", 1.0, 1)),
        (
            ("column=width", "type_differs bigint", 1.0, 1),
            ("column", "width bigint", "type_differs", 1.0, 1),
        ),
    ],
)
def test_scopes_of_earlier_rows(
    spark: SparkSession,
    tmp_path: Path,
    earlier: tuple[str, str, float | None, int],
    today: tuple[object, ...],
) -> None:
    uri = str(tmp_path / "metrics")
    write_earlier(spark, uri, earlier)
    assert read(spark, uri) == [today]


def test_rows_of_today_go_into_a_folder_of_earlier_ones(
    spark: SparkSession, tmp_path: Path
) -> None:
    uri = str(tmp_path / "metrics")
    write_earlier(spark, uri, ("fold=3", "roc_auc", 0.9, 20))
    rows = [
        ("r2", "v2", "overall", None, "roc_auc", 0.95, 0.9, 0.99, 60, NOW),
        ("r2", "v2", "day", "new_ 1", "images", 0.5, None, None, 6, NOW),
    ]
    tables.append_rows(spark, rows, uri, schemas.METRICS)

    mixed = [
        ("day", "new_ 1", "images", 0.5, 6),
        ("fold", "3", "roc_auc", 0.9, 20),
        ("overall", None, "roc_auc", 0.95, 60),
    ]
    assert read(spark, uri) == mixed
    bounds = tables.read(spark, uri, schemas.METRICS).select("run_id", "lower", "upper")
    assert sorted((tuple(row) for row in bounds.collect()), key=str) == [
        ("r1", 0.25, None), ("r2", 0.9, 0.99), ("r2", None, None),
    ]  # fmt: skip

    tables.rewrite(tables.read(spark, uri, schemas.METRICS), uri, schemas.METRICS, files=1)

    assert read(spark, uri) == mixed
    assert "scope" not in spark.read.parquet(uri).columns


def test_scores_with_an_audit_say_who_was_to_look(spark: SparkSession, tmp_path: Path) -> None:
    uri = tmp_path.as_uri()
    asked = [("a", "pass", False), ("b", "pass", True), ("c", "fail", False)]
    asked.append(("d", "unscorable", False))
    columns = "image_id string, decision string, audit boolean"
    spark.createDataFrame(asked, columns).write.parquet(f"{uri}/scores/capture_date=2026-01-05")
    today = spark.createDataFrame(
        [("e", "pass", None), ("f", "fail", "control")],
        "image_id string, decision string, review string",
    )
    today.write.parquet(f"{uri}/scores/capture_date=2026-01-06")

    found = tables.read(spark, f"{uri}/scores", schemas.SCORES)

    assert found.columns == schemas.SCORES.names
    assert {row.image_id: row.review for row in found.collect()} == {
        "a": None, "b": "audit", "c": "decision", "d": "unscorable", "e": None, "f": "control",
    }  # fmt: skip
