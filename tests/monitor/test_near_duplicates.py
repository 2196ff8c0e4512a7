from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pcb_spark.learning.folds import Fold
from pcb_spark.monitor import near_duplicates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = (
    "image_id string, board_id string, position string, content_sha256 string, "
    "group_date date, difference_hash array<bigint>"
)
#: 64 bits set.
WORDS = [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]


def day(number: int) -> date:
    return date(2026, 1, number)


def row(
    name: str, board: str, on: int, words: list[int] | None, *, at: str = "R1", sha: str = ""
) -> tuple[Any, ...]:
    return (name, board, at, sha or name, day(on), words)


def table(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


def changed(*masks: int) -> list[int]:
    return [word ^ mask for word, mask in zip(WORDS, masks, strict=True)]


def test_pairs_differ_in_three_bits_at_most(spark: SparkSession) -> None:
    found = near_duplicates.near(
        table(
            spark,
            row("first", "b1", 1, WORDS),
            row("copy", "b2", 2, WORDS),
            row("three", "b3", 3, changed(1, 2, 1 << 62, 0)),
            row("four", "b4", 4, changed(16, 32, 64, 128)),
            row("one word", "b5", 5, changed(15, 0, 0, 0)),
        ),
        "group_date",
        "difference_hash",
    )
    assert sorted(map(tuple, found.collect())) == [
        (day(1), day(2), "copy"),
        (day(1), day(3), "three"),
        (day(2), day(3), "three"),
    ]


def test_one_board_one_day_other_positions_and_bare_images_make_no_pairs(
    spark: SparkSession,
) -> None:
    found = near_duplicates.near(
        table(
            spark,
            row("first", "b1", 1, WORDS),
            row("same board", "b1", 2, WORDS),
            row("same day", "b2", 1, WORDS, at="R2"),
            row("bare one", "b3", 3, [0, 0, 0, 1]),
            row("bare other", "b4", 4, [0, 0, 0, 1]),
            row("undecodable", "b5", 5, None),
        ),
        "group_date",
        "difference_hash",
    )
    assert found.collect() == []


def test_equal_bytes_count_at_any_position(spark: SparkSession) -> None:
    found = near_duplicates.equal(
        table(
            spark,
            row("first", "b1", 1, None, sha="x"),
            row("again", "b2", 4, None, at="R2", sha="x"),
            row("other", "b3", 4, None),
        ),
        "group_date",
    )
    assert [tuple(pair) for pair in found.collect()] == [(day(1), day(4), "again")]


def test_only_pairs_across_the_border_of_a_fold_count(spark: SparkSession) -> None:
    rows = table(
        spark,
        row("train", "b1", 1, None, sha="x"),
        row("also train", "b2", 2, None, sha="x"),
        row("test", "b3", 4, None, sha="x"),
        row("test again", "b4", 5, None, sha="x"),
        row("test alone", "b5", 5, None),
    )
    folds = [
        Fold(index=1, train_before=day(3), test_from=day(4), test_until=day(5)),
        Fold(index=2, train_before=day(1), test_from=day(4), test_until=day(4)),
        Fold(index=3, train_before=day(9), test_from=day(9), test_until=day(9)),
    ]
    pairs = near_duplicates.equal(rows, "group_date")
    assert near_duplicates.across_border(pairs, rows, folds, "group_date") == [
        (1, 2, 3),
        (2, 0, 1),
        (3, 0, 0),
    ]
