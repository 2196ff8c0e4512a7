from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.core.errors import InputError
from pcb_spark.core.times import Reader
from pcb_spark.ingest import verdict_files, verdicts
from tests.rows import manifest_of

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
    manifest = manifest_of(raw)
    settled, rejected = verdicts.effective(manifest, described, root=ROOT)
    assert {row["kind"] for row in rejected.collect()} <= {"verdict"}
    table = [(row["image_id"], row["verdict"]) for row in settled.collect()]
    rejects = rejected.select("source_uri", "reason", "detail", "capture_date").collect()
    return sorted(table), sorted(tuple(row) for row in rejects)


def reject(reason: str, detail: str) -> Reject:
    return "file:/drop/a.png", reason, detail, DAY


def unread(text: str, why: str = "is no time in ISO 8601") -> Reject:
    return reject("verified_at_unreadable", f"{text!r} {why}")


def superseded(said: str) -> Reject:
    return reject("verdict_superseded", f"another row for this image counts: {said}")


def test_one_row_an_image_is_its_verdict(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "pass", NOON), ("b.png", "FAIL", None))
    assert table == [("id-a", "pass"), ("id-b", "fail")]
    assert rejects == []


def test_words_are_known_in_wide_letters_and_with_blanks_that_do_not_break(
    spark: SparkSession,
) -> None:
    table, rejects = settle(
        spark, ("a.png", "False\u00a0call", NOON), ("b.png", "\uff2e\uff27", None)
    )
    assert table == [("id-a", "pass"), ("id-b", "fail")]
    assert rejects == []


def test_latest_verdict_wins_whatever_its_place_in_the_file(spark: SparkSession) -> None:
    given = ("a.png", "pass", MORNING), ("a.png", "fail", EVENING), ("a.png", "pass", NOON)
    assert settle(spark, *given) == (
        [("id-a", "fail")], [superseded("pass"), superseded("pass")],
    )  # fmt: skip


def test_equal_verdicts_count_once(spark: SparkSession) -> None:
    given = ("a.png", "fail", NOON), ("a.png", "fail", NOON)
    assert settle(spark, *given) == ([("id-a", "fail")], [superseded("fail")])


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
    assert settle(spark, *given) == (
        [("id-a", "pass")], [superseded("fail"), superseded("pass")],
    )  # fmt: skip


def test_verdict_with_a_time_wins_over_one_without(spark: SparkSession) -> None:
    given = ("a.png", "fail", NOON), ("a.png", "pass", None)
    assert settle(spark, *given) == ([("id-a", "fail")], [superseded("pass")])


def test_verdict_of_an_unreadable_time_counts_for_nothing(spark: SparkSession) -> None:
    given = ("a.png", "pass", MORNING), ("a.png", "fail", "5.1.2026 9:00"), ("b.png", "fail", "0")
    table, rejects = settle(spark, *given)
    assert table == [("id-a", "pass")]
    assert rejects == [
        unread("5.1.2026 9:00"),
        ("file:/drop/b.png", *unread("0")[1:]),
    ]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "1899-12-30", "1900-01-00", "12026-01-05"])
def test_impossible_time_is_the_reject_of_its_row(spark: SparkSession, text: str) -> None:
    table, rejects = settle(spark, ("a.png", "fail", text), ("b.png", "pass", NOON))
    assert table == [("id-b", "pass")]
    assert [(reason, text in detail) for _, reason, detail, _ in rejects] == [
        ("verified_at_unreadable", True)
    ]


def test_verdict_of_the_future_is_no_verdict(spark: SparkSession) -> None:
    raw = spark.createDataFrame([("a.png", EVENING)], "image string, verified_at string")
    found = manifest_of(raw, latest=datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert tuple(found.select("verified_at", "verified_at_fault").collect()[0]) == (
        None, "it lies in the future: 2026-01-05T18:00:00Z",
    )  # fmt: skip


def test_first_time_that_is_told_counts_though_it_cannot_be_read(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("a.png", None, "L1"), ("a.png", "soon", None), ("a.png", NOON, "L2")],
        "image string, captured_at string, line string",
    )
    told = verdicts.traceability(manifest_of(raw))
    (row,) = told.select("line", "captured_at", "captured_at_fault").collect()
    assert tuple(row) == ("L1", None, "'soon' is no time in ISO 8601")


def test_unknown_verdict_is_rejected_and_the_image_waits(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "Maybe", NOON))
    assert table == []
    assert rejects == [reject("verdict_unknown", "got maybe")]


def test_unknown_verdict_does_not_displace_a_known_one(spark: SparkSession) -> None:
    table, rejects = settle(spark, ("a.png", "pass", NOON), ("a.png", "TRUE", EVENING))
    assert table == [("id-a", "pass")]
    assert rejects == [reject("verdict_unknown", "got true")]


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_blank_verdict_is_not_yet_verified(spark: SparkSession, blank: str | None) -> None:
    assert settle(spark, ("a.png", blank, None)) == ([("id-a", None)], [])


def test_blank_verdict_does_not_displace_an_earlier_one(spark: SparkSession) -> None:
    given = ("a.png", "fail", MORNING), ("a.png", None, EVENING)
    (kept,) = settle(spark, *given)[1]
    assert kept == reject("verdict_superseded", "another row for this image counts: ")
    assert settle(spark, *given)[0] == [("id-a", "fail")]


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


def test_file_without_a_column_image_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("picture,verdict\na.png,pass\n", encoding="utf-8")
    raw = verdict_files.read(spark, [(f"file:{path}", 1)])
    with pytest.raises(InputError, match=r"/v\.csv has no column named image") as caught:
        verdicts.refuse_unreadable(verdicts.read_manifest(raw))
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
    manifest = manifest_of(raw)
    seconds = manifest.selectExpr("unix_micros(captured_at) / 1e6").collect()[0][0]
    assert seconds == (moment.timestamp() if moment else None)


def test_first_value_of_each_column_describes_the_image(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [("a.png", None, "L1"), ("a.png", "lot-1", "L2"), ("a.png", "lot-2", None)],
        "image string, lot string, line string",
    )
    manifest = manifest_of(raw)
    described = verdicts.traceability(manifest).select("relative_path", "lot", "line").collect()
    assert [tuple(row) for row in described] == [("a.png", "lot-1", "L1")]


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-01-05T07:00:00", "Europe/Berlin", datetime(2026, 1, 5, 6, tzinfo=UTC)),
        ("2026-07-05 08:00:00", "Europe/Berlin", datetime(2026, 7, 5, 6, tzinfo=UTC)),
        ("2026-01-05", "Europe/Berlin", datetime(2026, 1, 4, 23, tzinfo=UTC)),
        ("2026-01-05T06:00:00Z", "Europe/Berlin", datetime(2026, 1, 5, 6, tzinfo=UTC)),
        ("2026-01-05T06:00:00+02", "Europe/Berlin", datetime(2026, 1, 5, 4, tzinfo=UTC)),
    ],
)
def test_time_without_a_zone_is_of_the_configured_one(
    spark: SparkSession, text: str, zone: str, moment: datetime
) -> None:
    raw = spark.createDataFrame([(text,)], "captured_at string")
    manifest = verdicts.read_manifest(
        raw.selectExpr(
            "captured_at", "captured_at verified_at", "'' verdict", "'' image", "'' reference"
        ),
        reader=Reader(timezone=zone),
    )
    row = manifest.selectExpr("unix_seconds(captured_at)", "unix_seconds(verified_at)").collect()
    assert tuple(row[0]) == (moment.timestamp(), moment.timestamp())


Opinion = tuple[str, str | None, str | None, str | None]


def disagreement(spark: SparkSession, *given: Opinion) -> tuple[str | None, bool]:
    """What counts of (image, verdict, operator_id, verified_at) rows for a.png, and the mark."""
    raw = spark.createDataFrame(
        list(given), "image string, verdict string, operator_id string, verified_at string"
    )
    described = spark.createDataFrame(
        [("a.png", "id-a", DAY, None)],
        "relative_path string, image_id string, capture_date date, reason string",
    )
    settled, _ = verdicts.effective(manifest_of(raw), described, root=ROOT)
    (row,) = settled.collect()
    return row["verdict"], row["operators_disagree"]


def test_operators_who_disagree_are_marked_though_the_latest_counts(spark: SparkSession) -> None:
    given = ("a.png", "pass", "kim", MORNING), ("a.png", "fail", "lee", NOON)
    assert disagreement(spark, *given) == ("fail", True)


def test_operator_who_corrects_himself_does_not_disagree(spark: SparkSession) -> None:
    given = ("a.png", "pass", "kim", MORNING), ("a.png", "fail", "kim", NOON)
    assert disagreement(spark, *given) == ("fail", False)


def test_operators_who_agree_are_not_marked(spark: SparkSession) -> None:
    given = ("a.png", "fail", "kim", MORNING), ("a.png", "fail", "lee", NOON)
    assert disagreement(spark, *given) == ("fail", False)


def test_rows_of_board_and_position_find_their_images(spark: SparkSession) -> None:
    raw = spark.createDataFrame(
        [(None, "b1", "P1", "fail"), ("c.png", None, None, "pass"), (None, "b9", "P1", "pass")],
        "image string, board_id string, position string, verdict string",
    )
    known = spark.createDataFrame(
        [("a.png", "b1", "P1"), ("b.png", "b1", "P1"), ("c.png", "b1", None)],
        "relative_path string, board_id string, position string",
    )
    found = verdicts.resolve(manifest_of(raw), known).select("relative_path", "verdict").collect()
    assert sorted((row[0] or "", row[1]) for row in found) == [
        ("", "pass"), ("a.png", "fail"), ("b.png", "fail"), ("c.png", "pass"),
    ]  # fmt: skip


def earlier(spark: SparkSession, verdict: str | None, moment: str | None) -> list[str | None]:
    """The verdicts that remain of a file's (a.png, pass, NOON) and an earlier run's row."""
    raw = spark.createDataFrame(
        [("a.png", "pass", NOON)], "image string, verdict string, verified_at string"
    )
    had = spark.createDataFrame(
        [("a.png", verdict, None, "kim", moment, True)],
        "relative_path string, verdict string, defects string, operator_id string, "
        "verified_at string, operators_disagree boolean",
    ).withColumn("verified_at", F.to_timestamp("verified_at"))
    found = verdicts.with_earlier(manifest_of(raw), had).collect()
    return [row["verdict"] for row in found]


def test_verdict_that_the_files_hold_no_more_is_kept(spark: SparkSession) -> None:
    assert earlier(spark, "fail", MORNING) == ["pass", "fail"]


def test_verdict_of_the_same_time_was_corrected_in_its_file(spark: SparkSession) -> None:
    assert earlier(spark, "fail", NOON) == ["pass"]


def test_unverified_row_of_an_earlier_run_is_not_kept(spark: SparkSession) -> None:
    assert earlier(spark, None, MORNING) == ["pass"]
