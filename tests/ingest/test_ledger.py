from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import names
from pcb_spark.ingest import ledger
from pcb_spark.lake import schemas
from tests.rows import images_table, noise

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)


def files(spark: SparkSession, *rows: tuple[str, int, date | None, str, int, str]) -> DataFrame:
    """Rows of id, length, day, outcome, the hour at which they were seen, and run."""
    full = [
        (image, f"file:/{image}", length, NOON, f"sha-{length}", day, outcome,
         NOON + timedelta(hours=hour), run)
        for image, length, day, outcome, hour, run in rows
    ]  # fmt: skip
    return spark.createDataFrame(full, schemas.FILES)


def test_the_newest_row_of_a_file_counts(spark: SparkSession) -> None:
    table = files(
        spark,
        ("a", 1, MONDAY, "ok", 1, "run-1"),
        ("a", 2, MONDAY, "ok", 2, "run-1"),
        ("b", 3, MONDAY, "truncated_image", 1, "run-1"),
    )
    found = ledger.newest(table).select(names.IMAGE_ID, names.LENGTH).collect()
    assert sorted(tuple(row) for row in found) == [("a", 2), ("b", 3)]


@pytest.mark.parametrize(
    ("outcome", "run", "hours", "done"),
    [
        ("ok", "run-1", 5, True),
        ("pruned", "run-1", 5, True),
        ("not_an_image", "run-1", 5, True),
        ("empty_file", "run-2", 0, True),  # this run has just tried it
        ("empty_file", "run-2", 2, False),
        ("empty_file", "run-1", 0, False),
    ],
)
def test_what_a_run_has_nothing_left_to_do_with(
    spark: SparkSession, outcome: str, run: str, hours: int, done: bool
) -> None:
    table = files(spark, ("a", 1, MONDAY, outcome, 0, run))
    found = ledger.done(table, run_id="run-2", now=NOON + timedelta(hours=hours))
    assert [tuple(row)[:2] for row in found.collect()] == ([("a", 1)] if done else [])


def test_what_goes_with_the_days_before_one(spark: SparkSession) -> None:
    """``i000`` to ``i019`` have an hour each from Monday 6:00 on; 18 of them are Monday's."""
    images = images_table(spark, [(noise(n), None) for n in range(20)])
    table = files(
        spark,
        *((f"i{n:03d}", n, MONDAY, "ok", 1, "run-1") for n in range(17)),  # i017 is not noted
        ("i018", 18, MONDAY, "ok", 1, "run-1"),  # a manifest moved it to Tuesday since
        ("bad", 30, MONDAY, "truncated_image", 1, "run-1"),
        ("late", 31, TUESDAY, "truncated_image", 1, "run-1"),
        ("undated", 32, None, "capture_time_missing", 1, "run-1"),
        ("gone", 33, MONDAY, "pruned", 1, "run-1"),
    )
    going = ledger.going(table, images, TUESDAY)
    assert sorted(row[0] for row in going.select(names.IMAGE_ID).collect()) == [
        "bad", *(f"i{n:03d}" for n in range(18)),
    ]  # fmt: skip
    buried = ledger.tombstones(going, run_id="run-2", now=NOON + timedelta(hours=9))
    after = table.unionByName(buried)
    assert buried.schema.names == schemas.FILES.names
    assert ledger.pruned(after).count() == 20
    (unnoted,) = ledger.newest(after).where("image_id = 'i017'").collect()
    (image,) = images.where("image_id = 'i017'").collect()
    assert unnoted[names.CONTENT_SHA256] == image[names.CONTENT_SHA256]


def test_a_version_that_came_after_a_prune_is_no_longer_pruned(spark: SparkSession) -> None:
    table = files(
        spark,
        ("a", 1, MONDAY, "pruned", 1, "run-1"),
        ("a", 2, WEDNESDAY, "ok", 2, "run-2"),
        ("b", 1, MONDAY, "pruned", 1, "run-1"),
    )
    assert [tuple(row) for row in ledger.pruned(table).collect()] == [("b", "sha-1")]
