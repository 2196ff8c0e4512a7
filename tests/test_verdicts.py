from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark import verdicts
from pcb_spark.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = "file:/drop"
DAY = date(2026, 1, 5)
MORNING, NOON, EVENING = "2026-01-05 06:00:00", "2026-01-05 12:00:00", "2026-01-05 18:00:00"

Row = tuple[str | None, str | None, str | None]
Reject = tuple[str, str, str, date | None]


def settle(spark: SparkSession, *given: Row) -> tuple[list[tuple[str, str | None]], list[Reject]]:
    """Settle (image, verdict, verified_at) rows where a.png and b.png exist and c.png is no image.

    Returns (image_id, verdict) of the table, and (uri, reason, detail, date) of the rejects.
    """
    raw = spark.createDataFrame(list(given), "image string, verdict string, verified_at string")
    described = spark.createDataFrame(
        [
            ("a.png", "id-a", DAY, None),
            ("b.png", "id-b", DAY, None),
            ("c.png", "id-c", DAY, "not_an_image"),
        ],
        "relative_path string, image_id string, capture_date date, reason string",
    )
    manifest = verdicts.read_manifest(raw.coalesce(1), "verdicts.csv")
    settled, rejected = verdicts.settle(manifest, described, root=ROOT)
    assert {row["kind"] for row in rejected.collect()} <= {"verdict"}
    table = [(row["image_id"], row["verdict"]) for row in settled.collect()]
    rejects = rejected.select("source_uri", "reason", "detail", "capture_date").collect()
    return sorted(table), sorted(tuple(row) for row in rejects)


def reject(reason: str, detail: str) -> Reject:
    return "file:/drop/a.png", reason, detail, DAY


SUPERSEDED = reject("verdict_superseded", "another row for this image counts")


def test_one_row_an_image_is_its_verdict(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "pass", NOON), ("b.png", "FAIL", None))
    assert table == [("id-a", "pass"), ("id-b", "fail")]
    assert rejects == []


def test_latest_verdict_wins_whatever_its_place_in_the_file(spark: SparkSession) -> None:
    given = ("a.png", "pass", MORNING), ("a.png", "fail", EVENING), ("a.png", "pass", NOON)
    assert settle(spark, *given) == ([("id-a", "fail")], [SUPERSEDED, SUPERSEDED])


def test_equal_verdicts_count_once(spark: SparkSession) -> None:
    given = ("a.png", "fail", NOON), ("a.png", "fail", NOON)
    assert settle(spark, *given) == ([("id-a", "fail")], [SUPERSEDED])


@pytest.mark.parametrize("moment", [NOON, None])
def test_verdicts_of_one_moment_that_disagree_count_for_nothing(
    spark: SparkSession, moment: str | None
) -> None:
    table, rejects = settle(spark, ("a.png", "pass", moment), ("a.png", "fail", moment))
    assert table == []
    assert rejects == [
        reject("verdict_conflict", "one of several: fail"),
        reject("verdict_conflict", "one of several: pass"),
    ]


def test_disagreement_of_the_past_is_settled_by_a_later_verdict(spark: SparkSession) -> None:
    given = ("a.png", "pass", NOON), ("a.png", "fail", NOON), ("a.png", "pass", EVENING)
    assert settle(spark, *given) == ([("id-a", "pass")], [SUPERSEDED, SUPERSEDED])


def test_verdict_with_a_time_wins_over_one_without(spark: SparkSession) -> None:
    given = ("a.png", "fail", NOON), ("a.png", "pass", None)
    assert settle(spark, *given) == ([("id-a", "fail")], [SUPERSEDED])


def test_unknown_verdict_is_rejected_and_the_image_waits(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "Maybe", NOON))
    assert table == []
    assert rejects == [reject("verdict_unknown", "got maybe")]


def test_unknown_verdict_does_not_displace_a_known_one(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "pass", NOON), ("a.png", "ok", EVENING))
    assert table == [("id-a", "pass")]
    assert rejects == [reject("verdict_unknown", "got ok")]


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_blank_verdict_is_not_yet_verified(spark: SparkSession, blank: str | None) -> None:
    assert settle(spark, ("a.png", blank, None)) == ([("id-a", None)], [])


def test_blank_verdict_does_not_displace_an_earlier_one(spark: SparkSession) -> None:
    given = ("a.png", "fail", MORNING), ("a.png", None, EVENING)
    assert settle(spark, *given) == ([("id-a", "fail")], [SUPERSEDED])


def test_verdict_of_an_image_that_is_not_there(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("z.png", "pass", NOON))
    assert table == []
    assert rejects == [
        ("file:/drop/z.png", "verdict_without_image", "no such file in the drop", None)
    ]


def test_verdict_of_an_image_that_was_rejected(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("c.png", "pass", NOON))
    assert table == []
    assert rejects == [
        ("file:/drop/c.png", "verdict_without_image", "its image was rejected: not_an_image", DAY)
    ]


def test_row_that_names_no_image(spark: SparkSession) -> None:
    table, rejects = settle(spark, (None, "pass", NOON), ("a.png", "pass", NOON))
    assert table == [("id-a", "pass")]
    assert rejects == [("file:/drop/", "verdict_without_image", "its row names no image", None)]


def test_header_is_read_whatever_its_case_and_blanks(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("a.png", "Pass", "7")], "Image string, ` VERDICT ` string, `something else` string"
    )
    row = verdicts.read_manifest(raw, "verdicts.csv").collect()[0]
    assert (row["relative_path"], row["verdict"], row["lot"]) == ("a.png", "pass", None)


def test_header_without_image_is_refused(spark: SparkSession) -> None:
    raw = spark.createDataFrame([("a.png", "pass")], "picture string, verdict string")
    with pytest.raises(InputError, match=r"file:/v\.csv has no column named image") as caught:
        verdicts.read_manifest(raw, "file:/v.csv")
    assert caught.value.got == "picture, verdict"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05T06:00:00Z", datetime(2026, 1, 5, 6, tzinfo=UTC)),
        ("2026-01-05T06:00:00+02:00", datetime(2026, 1, 5, 4, tzinfo=UTC)),
        ("2026-01-05 06:00:00.5", datetime(2026, 1, 5, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("06:00:00", None),
        ("2026", None),
        ("2026-02-30", None),
        ("yesterday", None),
    ],
)
def test_captured_at(spark: SparkSession, text: str, moment: datetime | None) -> None:
    raw = spark.createDataFrame([("a.png", text)], "image string, captured_at string")
    manifest = verdicts.read_manifest(raw, "verdicts.csv")
    seconds = manifest.selectExpr("unix_micros(captured_at) / 1e6").collect()[0][0]
    assert seconds == (moment.timestamp() if moment else None)


def test_first_value_of_each_column_describes_the_image(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("a.png", None, "L1"), ("a.png", "lot-1", "L2"), ("a.png", "lot-2", None)],
        "image string, lot string, line string",
    )
    manifest = verdicts.read_manifest(raw.coalesce(1), "verdicts.csv")
    described = verdicts.traceability(manifest).select("relative_path", "lot", "line").collect()
    assert [tuple(row) for row in described] == [("a.png", "lot-1", "L1")]


def test_csv_with_quotes_commas_and_a_byte_order_mark(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    path.write_bytes(
        b"\xef\xbb\xbfimage,verdict,defects\r\n"
        b'"a, b.png",fail,"called ""open"", then short"\r\n'
        b'c.png,fail,"two\nlines"\r\n'
    )
    raw = verdicts.read_csv(spark, str(path))
    found = raw.select("relative_path", "verdict", "defects").orderBy("relative_path").collect()
    assert [tuple(row) for row in found] == [
        ("a, b.png", "fail", 'called "open", then short'),
        ("c.png", "fail", "two\nlines"),
    ]
