from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyspark.sql import types as t

from pcb_spark.core import names
from pcb_spark.lake import schemas
from pcb_spark.lake.scopes import Scope
from pcb_spark.monitor import quality
from tests.rows import NO_IMAGE, images_table, png

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FACTS = {
    "image_id": "string", "line": "string", "lot": "string", "board_id": "string",
    "position": "string", "part_number": "string", "captured_at": "timestamp",
    "capture_date": "date", "width": "int", "height": "int", "content_sha256": "string",
    "reference_sha256": "string", "sharpness": "double", "brightness": "double",
    "clipped": "double", "darkest": "double", "brightest": "double",
    "format": "string", "verdict": "string", "lag_hours": "double",
}  # fmt: skip


def fact(number: int, **changes: Any) -> dict[str, Any]:
    day = changes.pop("day", 5)
    usual = {
        "image_id": f"i{number}", "line": "L1", "lot": None, "board_id": f"b{number // 2}",
        "position": "R1", "part_number": None,
        "captured_at": datetime(2026, 1, day, tzinfo=UTC), "capture_date": date(2026, 1, day),
        "width": 224, "height": 160, "content_sha256": f"sha{number}", "reference_sha256": "r",
        "sharpness": 100.0 + number, "brightness": 120.0 + number, "clipped": 0.0,
        "darkest": 5.0, "brightest": 250.0,
        "format": "JPEG grey", "verdict": None, "lag_hours": None,
    }  # fmt: skip
    return usual | changes


def facts(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    schema = ", ".join(f"{name} {kind}" for name, kind in FACTS.items())
    return spark.createDataFrame([tuple(row[name] for name in FACTS) for row in rows], schema)


def figures(found: DataFrame) -> dict[tuple[str, str], tuple[float | None, int]]:
    columns = ("scope_kind", "scope_value", "metric", "value", "n")
    rows = [tuple(row[name] for name in columns) for row in found.collect()]
    return {(str(Scope(*row[:2])), row[2]): row[3:] for row in rows}


def test_facts_measure_every_image_and_keep_its_verdict(spark: SparkSession) -> None:
    black = png(np.zeros((32, 32, 3), dtype=np.uint8))
    images = images_table(spark, [(black, None), (NO_IMAGE, None)])
    taken = images.orderBy(names.IMAGE_ID).collect()[0][names.CAPTURED_AT]
    verdicts = spark.createDataFrame(
        [("i000", "fail", None, None, taken + timedelta(hours=3), None)], schemas.VERDICTS
    )
    one, other = (
        quality.facts(images, verdicts, max_pixels=10_000).orderBy(names.IMAGE_ID).collect()
    )
    assert (one["sharpness"], one["brightness"], one["clipped"]) == (0.0, 0.0, 1.0)
    assert (one["format"], one["difference_hash"]) == ("PNG grey", [0, 0, 0, 0])
    assert (one["verdict"], one["lag_hours"]) == ("fail", 3.0)
    assert (other["sharpness"], other["difference_hash"], other["verdict"]) == (None, None, None)


def test_counts_by_scope(spark: SparkSession) -> None:
    found = figures(
        quality.counts(
            facts(
                spark,
                fact(0, verdict="fail", lag_hours=1.0),
                fact(1, verdict="pass", lag_hours=3.0, content_sha256="sha0"),
                fact(2, verdict="pass", lag_hours=5.0, reference_sha256=None, line="L2", day=6),
                fact(3, sharpness=None, line=None, lot="7", day=6),
            )
        )
    )
    overall = {metric: value for (scope, metric), value in found.items() if scope == "overall"}
    assert overall == {
        "images": (4, 4),
        "boards": (2, 4),
        "duplicates": (1, 4),
        "undecodable": (1, 4),
        "reference_missing_share": (0.25, 4),
        "verified_share": (0.75, 4),
        "fail_share": (pytest.approx(1 / 3), 3),
        "verdict_lag_hours_median": (3.0, 3),
        "verdict_lag_hours_p95": (5.0, 3),
    }
    assert {scope: found[scope, "images"] for scope, metric in found if metric == "images"} == {
        "overall": (4, 4),
        "day=2026-01-05": (2, 2),
        "day=2026-01-06": (2, 2),
        "line=L1": (2, 2),
        "line=L2": (1, 1),
        "lot=7": (1, 1),
    }
    assert found["lot=7", "fail_share"] == (None, 0)


def test_outliers_are_judged_within_line_and_position(spark: SparkSession) -> None:
    usual = [fact(number) for number in range(9)]
    found = figures(
        quality.outliers(
            facts(
                spark,
                *usual,
                fact(9, sharpness=2.0),
                fact(10, brightness=250.0, clipped=0.5),
                fact(11, sharpness=2.0, position="another part"),
                fact(12, sharpness=2.0, position="another part"),
                fact(13, line="L2", sharpness=None),
            )
        )
    )
    assert found["line=L1", "blurred"] == (1, 13)
    assert found["line=L1", "exposure_outliers"] == (1, 13)
    assert found["line=L1", "clipped_share"][0] == pytest.approx(0.5 / 13)
    assert ("line=L2", "blurred") not in found


def test_grey_levels_that_a_line_uses(spark: SparkSession) -> None:
    shallow = [fact(n, line="L2", darkest=0.0, brightest=15.0) for n in range(3)]
    found = figures(quality.outliers(facts(spark, fact(9), *shallow)))
    assert found["line=L1", "range_used"] == pytest.approx((245 / 255, 1))
    assert found["line=L2", "range_used"] == pytest.approx((15 / 255, 3))


def test_drift_names_what_no_day_before_had(spark: SparkSession) -> None:
    found = figures(
        quality.drift(
            facts(
                spark,
                fact(0),
                fact(1, day=6, part_number="R10K"),
                fact(2, day=6, width=448, height=320, format="PNG colour", line=None),
                fact(3, day=7, part_number="R10K", width=448, height=320),
            )
        )
    )
    assert found == {
        ("size=448x320", "first_day"): (20260106, 1),
        ("format=PNG colour", "first_day"): (20260106, 1),
        ("filled=part_number", "first_day"): (20260106, 1),
        ("empty=line", "first_day"): (20260106, 1),
    }


def struct(**columns: str) -> t.StructType:
    made = t.StructType()
    for name, kind in columns.items():
        made.add(name, kind)
    return made


def test_schema_drift_names_columns_and_types() -> None:
    stored = struct(image_id="string", width="long", colour="string")
    expected = struct(image_id="string", width="integer", height="integer")
    assert quality.schema_drift(stored, expected) == [
        (Scope("column", "height"), "missing"),
        (Scope("column", "colour"), "unexpected"),
        (Scope("column", "width bigint"), "type_differs"),
    ]
    assert quality.schema_drift(expected, expected) == []
