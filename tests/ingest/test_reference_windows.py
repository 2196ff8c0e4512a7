from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core import validity
from pcb_spark.core.errors import InputError
from pcb_spark.core.layouts import Traits
from pcb_spark.core.times import Reader
from pcb_spark.ingest import reference_windows
from tests import drops
from tests.rows import noise

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

IMAGES = (
    "relative_path string, reference_path string, part_number string, position string, "
    "line string, captured_at timestamp, capture_date date, reason string, width int, height int"
)
WINDOWS = (
    "reference string, part_number string, position string, line string, "
    "valid_from string, valid_until string"
)
WHERE = "file:/drop/references.csv"

Row = tuple[Any, ...]


def image(
    name: str,
    *,
    part: str | None = "R10K",
    position: str | None = "R1",
    line: str | None = "L1",
    day: int = 5,
    own: str | None = None,
    reason: str | None = None,
    size: tuple[int, int] = (224, 160),
) -> Row:
    moment = datetime(2026, 1, day, 6, tzinfo=UTC)
    return (name, own, part, position, line, moment, moment.date(), reason, *size)


def window(
    reference: str | None,
    part: str | None = None,
    position: str | None = None,
    line: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Row:
    return (reference, part, position, line, since, until)


def resolve(
    spark: SparkSession, images: list[Row], windows: list[Row]
) -> tuple[dict[str, str | None], list[Row]]:
    """Reference by image, and (reason, detail) of each reject, sorted."""
    read = reference_windows.read_windows(spark.createDataFrame(windows, WINDOWS), WHERE)
    found = reference_windows.resolve(spark.createDataFrame(images, IMAGES), read, where=WHERE)
    chosen = {row["relative_path"]: row["reference_path"] for row in found.images.collect()}
    assert chosen | _without_spark(images, windows) == chosen
    rejects = found.rejects.collect()
    assert {row["source_uri"] for row in rejects} <= {WHERE}
    assert {row["kind"] for row in rejects} <= {"reference"}
    return chosen, sorted((row["reason"], row["detail"]) for row in rejects)


def _without_spark(images: list[Row], windows: list[Row]) -> dict[str, str | None]:
    """The same by ``core.validity``, for images that ask for a window."""
    texts = [{k: v for k, v in zip(validity.COLUMNS, w, strict=True) if v} for w in windows]
    read = validity.windows(texts, Reader())
    return {
        name: validity.choose(
            read,
            Traits(
                board_id="b", part_number=part, position=position, line=line, captured_at=moment
            ),
        )
        for name, own, part, position, line, moment, _, reason, *_ in images
        if own is None and reason is None
    }


def test_window_is_found_by_what_it_asks_for(spark: SparkSession) -> None:
    images = [
        image("part", part="R10K", position="R9"),
        image("position", part=None, position="U7", line="L2"),
        image("both", part="R22K", position="R2"),
        image("own", own="references/own.png"),
        image("damaged", reason="damaged_image"),
    ]
    windows = [
        window("r10k.png", part="R10K"),
        window("u7.png", position="U7", line="L2"),
        window("r22k.png", part="R22K", position="R2"),
    ]
    assert resolve(spark, images, windows) == (
        {
            "part": "r10k.png",
            "position": "u7.png",
            "both": "r22k.png",
            "own": "references/own.png",
            "damaged": None,
        },
        [],
    )


def test_window_that_asks_for_most_counts(spark: SparkSession) -> None:
    windows = [
        window("any.png", part="R10K"),
        window("line.png", part="R10K", line="L1"),
        window("exact.png", part="R10K", position="R1", line="L1"),
    ]
    images = [image("a"), image("b", position="R2"), image("c", position="R2", line="L9")]
    assert resolve(spark, images, windows) == (
        {"a": "exact.png", "b": "line.png", "c": "any.png"},
        [],
    )


def test_window_begins_with_its_first_moment_and_ends_before_its_last(spark: SparkSession) -> None:
    change = "2026-01-06T06:00:00Z"
    windows = [
        window("old.png", part="R10K", until=change),
        window("new.png", part="R10K", since=change),
    ]
    images = [image("before", day=5), image("then", day=6), image("after", day=7)]
    assert resolve(spark, images, windows) == (
        {"before": "old.png", "then": "new.png", "after": "new.png"},
        [],
    )


def test_images_outside_of_every_window_are_counted_by_part(spark: SparkSession) -> None:
    windows = [window("a.png", part="R10K", since="2026-01-06", until="2026-01-08")]
    images = [image("a", day=5), image("b", day=9), image("c", day=7), image("d", part="X")]
    chosen, rejects = resolve(spark, images, windows)
    assert chosen == {"a": None, "b": None, "c": "a.png", "d": None}
    assert rejects == [
        (
            "reference_missing",
            'no window holds 1 images of {"part_number":"X","position":"R1","line":"L1"}, '
            "2026-01-05T06:00:00Z to 2026-01-05T06:00:00Z",
        ),
        (
            "reference_missing",
            'no window holds 2 images of {"part_number":"R10K","position":"R1","line":"L1"}, '
            "2026-01-05T06:00:00Z to 2026-01-09T06:00:00Z",
        ),
    ]


def test_windows_that_overlap_leave_the_image_without_a_reference(spark: SparkSession) -> None:
    windows = [
        window("a.png", part="R10K", until="2026-01-07"),
        window("b.png", part="R10K", since="2026-01-05"),
        window("b.png", part="R10K", since="2026-01-06"),
    ]
    chosen, rejects = resolve(spark, [image("both"), image("later", day=8)], windows)
    assert chosen == {"both": None, "later": "b.png"}
    assert rejects == [
        (
            "reference_ambiguous",
            'a.png and b.png hold 1 images of {"part_number":"R10K","position":"R1","line":"L1"}, '
            "2026-01-05T06:00:00Z to 2026-01-05T06:00:00Z",
        )
    ]


def test_rows_that_say_nothing_usable_are_rejected(spark: SparkSession) -> None:
    windows = [
        window(None, part="R10K"),
        window("nothing.png", line="L1"),
        window("text.png", part="R10K", since="soon"),
        window("time.png", part="R10K", since="06:00"),
        window("turned.png", part="R10K", since="2026-02-01", until="2026-01-01"),
        window("good.png", part="R10K"),
    ]
    chosen, rejects = resolve(spark, [image("a")], windows)
    assert chosen == {"a": "good.png"}
    assert rejects == [
        ("reference_window_unusable", detail)
        for detail in (
            '\'06:00\' is no time in ISO 8601: {"reference_path":"time.png","part_number":"R10K"}',
            '\'soon\' is no time in ISO 8601: {"reference_path":"text.png","part_number":"R10K"}',
            'it ends before it begins: {"reference_path":"turned.png","part_number":"R10K"}',
            'it names no part and no position: {"reference_path":"nothing.png","line":"L1"}',
            'it names no reference: {"part_number":"R10K"}',
        )
    ]


def test_windows_are_of_the_plants_zone_and_may_be_open_as_far_as_they_like(
    spark: SparkSession,
) -> None:
    given = [
        ("old.png", "R1", "1900-01-01", "01.03.2026"),
        ("new.png", "R1", "01.03.2026", "9999-12-31"),
    ]
    raw = spark.createDataFrame(
        given, "reference string, position string, valid_from string, valid_until string"
    )
    reader = Reader(timezone="Asia/Shanghai", formats=("%d.%m.%Y",))
    windows = reference_windows.read_windows(raw, WHERE, reader=reader).where("reason is null")
    change = datetime(2026, 2, 28, 16, tzinfo=UTC).timestamp()
    found = windows.selectExpr("unix_seconds(valid_from)", "unix_seconds(valid_until)").collect()
    assert [row[1] for row in found][:1] == [change]
    assert [row[0] for row in found][1:] == [change]


def test_file_without_a_column_reference_is_refused(spark: SparkSession) -> None:
    with pytest.raises(InputError, match=r"references\.csv has no column named reference"):
        reference_windows.read_windows(spark.createDataFrame([("a",)], "golden string"), WHERE)


def test_header_is_read_in_any_case_and_absent_columns_ask_for_nothing(
    spark: SparkSession,
) -> None:
    raw = spark.createDataFrame([(" a.png ", "R10K")], "`Reference ` string, PART_NUMBER string")
    assert reference_windows.read_windows(raw, WHERE).collect()[0].asDict() == {
        "reference_path": "a.png",
        "part_number": "R10K",
        "position": None,
        "line": None,
        "valid_from": None,
        "valid_until": None,
        "detail": None,
        "reason": None,
    }


def files(spark: SparkSession, *rows: tuple[str, int | None, int | None]) -> DataFrame:
    schema = "relative_path string, width int, height int, length long"
    return spark.createDataFrame([(*row, 1000) for row in rows], schema)


def test_reference_of_another_size_is_taken_away(spark: SparkSession) -> None:
    images = [
        image("same", own="good.png"),
        image("nearly", own="good.png", size=(226, 158)),
        image("first", own="large.png", day=6),
        image("second", own="large.png"),
        image("turned", own="good.png", size=(160, 224)),
        image("damaged", own="bad.png"),
        image("missing", own="nowhere.png"),
        image("none"),
    ]
    golden = files(spark, ("good.png", 224, 160), ("large.png", 448, 320), ("bad.png", None, None))
    found = reference_windows.keep_fitting(
        spark.createDataFrame(images, IMAGES), golden, tolerance=0.02, root="file:/drop/"
    )
    assert {row["relative_path"]: row["reference_path"] for row in found.images.collect()} == {
        "same": "good.png",
        "nearly": "good.png",
        "first": None,
        "second": None,
        "turned": None,
        "damaged": "bad.png",
        "missing": "nowhere.png",
        "none": None,
    }
    rejects = sorted(found.rejects.collect(), key=lambda row: str(row["source_uri"]))
    assert [tuple(row) for row in rejects] == [
        (
            "file:/drop/good.png", "reference", "reference_size_differs",
            "it is 224 x 160, 1 images are not: the first is 160 x 224", 1000, date(2026, 1, 5),
        ),
        (
            "file:/drop/large.png", "reference", "reference_size_differs",
            "it is 448 x 320, 2 images are not: the first is 224 x 160", 1000, date(2026, 1, 5),
        ),
    ]  # fmt: skip


def test_ingest_attaches_what_the_drop_says_is_good_then(
    spark: SparkSession, tmp_path: Path
) -> None:
    old, new, wide = drops.picture(10), drops.picture(20), noise(1)
    layout: dict[str, bytes | str] = {
        "references/old.png": old,
        "references/new.png": new,
        "references/wide.png": wide,
        "references.csv": (
            "reference,position,valid_from,valid_until\n"
            "references/old.png,R1,,2026-01-06\n"
            "references/new.png,R1,2026-01-06,\n"
            "references/wide.png,R2,,\n"
        ),
    }
    for day, position in ((5, "R1"), (6, "R1"), (7, "R1"), (5, "R2"), (5, "R3")):
        layout[f"images/date=2026-01-0{day}/b{day}_{position}.png"] = drops.picture(100)
    drop = drops.write(tmp_path / "drop", layout)
    drops.ingest(spark, drop, tmp_path / "out")
    assert drops.rows(
        spark, tmp_path / "out", "images", "position", "capture_date", "reference"
    ) == [
        ("R1", date(2026, 1, 5), bytearray(old)),
        ("R1", date(2026, 1, 6), bytearray(new)),
        ("R1", date(2026, 1, 7), bytearray(new)),
        ("R2", date(2026, 1, 5), None),
        ("R3", date(2026, 1, 5), None),
    ]
    rejects = drops.rows(spark, tmp_path / "out", "rejects", "reason", "kind", "source_uri")
    assert rejects == [
        ("reference_missing", "reference", f"file:{drop}/references.csv"),
        ("reference_size_differs", "reference", f"file:{drop}/references/wide.png"),
    ]
