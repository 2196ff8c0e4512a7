from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core import names, review
from pcb_spark.lake import schemas
from pcb_spark.learning import gate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
NOW = datetime(2026, 1, 7, tzinfo=UTC)
#: A slip is seen with .05 + .95 x .01.
SHARES = review.Shares(control=0.05, audit=0.02)


def reviews(spark: SparkSession, *rows: tuple[Any, ...], model: str = "v1") -> DataFrame:
    """Rows of image, reason, its probability and, where they aren't .5 and Monday, more."""
    full = []
    for image, reason, likely, *rest in rows:
        threshold = rest[0] if rest else 0.5
        day = rest[1] if len(rest) > 1 else MONDAY
        decision = "fail" if reason == "decision" else "pass"
        full.append((image, 0.1, threshold, decision, reason, likely, 0.0595, model, "r", NOW, day))
    return spark.createDataFrame(full, schemas.REVIEWS)


def test_only_images_without_a_verdict_are_asked_for(spark: SparkSession) -> None:
    columns = "image_id string, verdict string, defects string, operator_id string"
    verdicts = spark.createDataFrame(
        [("seen", "pass", None, None), ("not yet", None, None, None)], columns
    )
    scores = reviews(spark, ("seen", None, 0.1), ("not yet", None, 0.1), ("new", "audit", 0.1))

    found = gate.open_reviews(scores.withColumn("more", scores.image_id), verdicts, SHARES)

    assert {row.image_id for row in found.collect()} == {"not yet", "new"}
    assert found.columns == schemas.REVIEWS.names


def test_an_image_keeps_its_first_gate(spark: SparkSession) -> None:
    before = reviews(
        spark,
        ("asked before", "audit", 0.1), ("asked now", None, 0.1),
        ("verified since", "decision", 1.0), ("another day", "audit", 0.1, 0.5, TUESDAY),
    )  # fmt: skip
    now = reviews(
        spark,
        ("asked before", None, 0.2), ("asked now", "decision", 1.0), ("first time", "control", 0.3),
        model="v2",
    )  # fmt: skip

    merged = gate.first_gates(before, now)

    found = {
        row.image_id: (row.review, row.review_probability, row.model_version)
        for row in merged.collect()
    }
    assert found == {
        "asked before": ("audit", 0.1, "v1"),
        "asked now": (None, 0.1, "v1"),
        "verified since": ("decision", 1.0, "v1"),
        "first time": ("control", 0.3, "v2"),
    }
    assert merged.schema.names == schemas.REVIEWS.names


def test_an_image_that_moved_to_another_day_has_one_row(spark: SparkSession) -> None:
    before = reviews(spark, ("moved", "audit", 0.1))
    now = reviews(spark, ("moved", None, 0.1, 0.5, TUESDAY), ("new", None, 0.1, 0.5, TUESDAY))

    assert [row.image_id for row in gate.first_gates(before, now).collect()] == ["new"]


def test_nothing_is_written_anew_where_no_image_is_new(spark: SparkSession) -> None:
    before = reviews(spark, ("a", "audit", 0.1), ("b", None, 0.1))

    assert gate.first_gates(before, before).isEmpty()


def test_who_was_asked_for_stays_asked_for(spark: SparkSession) -> None:
    """Else scores of the next model would choose among those that no score had chosen."""
    before = reviews(
        spark, ("asked", "decision", 1.0, 0.0), ("unasked", None, 0.1), ("audited", "audit", 0.1)
    )
    scores = reviews(
        spark,
        ("asked", None, 0.0595), ("unasked", "decision", 1.0), ("audited", "decision", 1.0),
        ("new", None, 0.0595),
    )  # fmt: skip

    found = gate.asked_before(scores, before)

    assert {row.image_id: (row.review, row.review_probability) for row in found.collect()} == {
        "asked": ("decision", 1.0),
        "unasked": ("decision", 1.0),
        "audited": ("audit", 0.1),
        "new": (None, 0.0595),
    }
    assert set(found.columns) == set(scores.columns)


def test_verdicts_are_weighed_by_how_likely_they_were(spark: SparkSession) -> None:
    asked = reviews(
        spark,
        ("failed", "decision", 1.0), ("audited", "audit", 0.0595), ("near", "audit_high", 0.1545),
        ("control", "control", 0.0595), ("nothing cleared", "decision", 1.0, 0.0),
        ("found by itself", None, 0.0595),
    )  # fmt: skip
    images = [row.image_id for row in asked.collect()] + ["before the gate"]
    rows = spark.createDataFrame([(image,) for image in images], "image_id string")

    found = gate.weigh(rows, asked)

    assert found.columns == [names.IMAGE_ID, names.GATED, names.WEIGHT]
    assert {row.image_id: (row.gated, row.weight) for row in found.collect()} == {
        "failed": (True, 1.0),
        "audited": (True, pytest.approx(16.8067, abs=1e-4)),
        "near": (True, pytest.approx(6.4725, abs=1e-4)),
        "control": (False, pytest.approx(16.8067, abs=1e-4)),
        "nothing cleared": (False, 1.0),
        "found by itself": (True, 1.0),
        "before the gate": (False, 1.0),
    }


def test_a_defect_is_a_trial_where_its_score_had_no_say_in_whether_it_was_seen(
    spark: SparkSession,
) -> None:
    asked = reviews(
        spark,
        ("caught", "decision", 1.0), ("slipped, audited", "audit", 0.0595),
        ("slipped, control", "control", 0.0595), ("near", "audit_high", 0.1545),
        ("good", "audit", 0.0595), ("nothing cleared", "decision", 1.0, 0.0),
        ("found by a customer", None, 0.0595), ("no verdict yet", "decision", 1.0),
    )  # fmt: skip
    names_of_fails = [row.image_id for row in asked.collect()][:7]
    verdicts = spark.createDataFrame(
        [(image, "pass" if image == "good" else "fail", None) for image in names_of_fails],
        "image_id string, verdict string, verified_at timestamp",
    )

    found = gate.seen_defects(asked, verdicts).collect()

    assert {row.image_id: (row.slipped, row.slip_seen_probability) for row in found} == {
        "caught": (False, 0.0595),
        "slipped, audited": (True, 0.0595),
        "slipped, control": (True, 0.0595),
    }


def test_nothing_is_weighed_where_no_gate_has_asked(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a",)], "image_id string")

    assert gate.weigh(rows, None) is rows
    (row,) = gate.unweighed(rows).collect()
    assert (row.gated, row.weight) == (False, 1.0)
