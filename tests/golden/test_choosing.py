"""Which golden image judges an image: one of earlier days, that looks like it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, golden_book, names, validity
from pcb_spark.core import images as pictures
from pcb_spark.golden import choosing, places
from pcb_spark.lake import schemas
from tests import goldens, rows
from tests.goldens import night, shot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LIMITS = {"max_pixels": 10_000, "bit_depth": 16}


def chosen(
    spark: SparkSession, shots: list[dict[str, Any]], table: DataFrame, *, pinned: bool = True
) -> dict[str, str | None]:
    """The hash that each image is compared with."""
    images = goldens.images(spark, shots)
    found = choosing.choose(images, table, goldens.RULE, pinned=pinned, **LIMITS)
    attached = choosing.attach(images, found, table, pinned=pinned).collect()
    return {row[names.IMAGE_ID]: row[names.REFERENCE_SHA256] for row in attached}


def made(table: DataFrame) -> dict[tuple[int, int], str]:
    """Hashes of golden images by view and day in January."""
    found = table.where(F.col(names.REFERENCE).isNotNull()).collect()
    return {
        (row[names.VIEW], row[validity.VALID_FROM].day): row[names.REFERENCE_SHA256]
        for row in found
    }


def test_an_image_is_judged_by_golden_images_of_earlier_days_only(spark: SparkSession) -> None:
    shots = [shot(4 + n, name) for n, name in enumerate("abcdefghij")]
    shots += [shot(4 + n, f"late {n}", verified=10) for n in range(3)]
    table = night(spark, shots)
    when = {each[names.IMAGE_ID]: each for each in shots}
    rows_of = {row[names.REFERENCE_SHA256]: row for row in table.collect() if row[names.REFERENCE]}
    found = chosen(spark, shots, table)
    judged = {name: rows_of[sha] for name, sha in found.items() if sha}
    assert len(judged) == 7
    for name, golden in judged.items():
        day = when[name][names.CAPTURE_DATE]
        for each in golden[names.GOLDEN_IMAGES]:
            verified = when[each][names.VERIFIED_AT]
            known = max(when[each][names.CAPTURE_DATE], verified.date() if verified else date.min)
            assert known < day


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Golden images of two products at one position, and a later one of the first product."""
    shots = [shot(5, name, product=1 + (name > "c")) for name in "abcdef"]
    return night(spark, [*shots, shot(7, "g")])


def test_the_one_whose_window_holds_the_day_and_that_looks_like_the_image(
    spark: SparkSession, table: DataFrame
) -> None:
    first, second, other = (made(table)[key] for key in ((1, 6), (1, 8), (2, 6)))
    lead = shot(6, "lead")
    lead |= {names.REFERENCE: b"golden of the lead", names.REFERENCE_SHA256: "pinned"}
    shots = [
        *(shot(day, f"x{day}", verdict=None) for day in (5, 6, 7, 8, 20)),
        shot(6, "two", product=2), shot(6, "new", product=3), shot(6, "nowhere", position=None),
        shot(6, "broken", content=rows.NO_IMAGE), lead,
    ]  # fmt: skip
    expected = {
        "x5": None, "x6": first, "x7": first, "x8": second, "x20": second, "two": other,
        "new": None, "nowhere": None, "broken": min(first, other),
    }  # fmt: skip
    assert chosen(spark, shots, table) == expected | {"lead": "pinned"}
    assert chosen(spark, [lead], table, pinned=False) == {"lead": first}


def test_an_edge_machine_finds_the_same(spark: SparkSession, table: DataFrame) -> None:
    shots = [shot(day, f"x{day}", verdict=None) for day in (6, 7, 8, 20)]
    shots += [shot(6, "two", product=2), shot(6, "new", product=3), shot(6, "far", line="L2")]
    good = choosing.good_from(table, date(2026, 1, 6)).collect()
    keys = (validity.VALID_FROM, validity.VALID_UNTIL, *places.COLUMNS)
    told = golden_book.Goldens(
        own=tuple(
            golden_book.Own(sha256=row[names.REFERENCE_SHA256], **{key: row[key] for key in keys})
            for row in good
        ),
        by_line=goldens.RULE.by_line,
        most_misfit=choosing.most_misfit(goldens.RULE),
    )
    files = {
        golden_book.file_of(row[names.REFERENCE_SHA256]): bytes(row[names.REFERENCE])
        for row in good
    }
    book = golden_book.GoldenBook(told, files)
    expected = chosen(spark, shots, table, pinned=False)

    for each in shots:
        found = book.find(pictures.decode(each[names.IMAGE]), each, each[names.CAPTURE_DATE])
        assert (found and found.sha256) == expected[each[names.IMAGE_ID]]
        assert found is None or bundle.sha256(found.content) == found.sha256
    assert len(set(expected.values())) == 4
    assert len(choosing.good_from(table, date(2026, 1, 8)).collect()) == 2


def test_images_come_back_whole_with_the_bytes_of_their_golden_image(
    spark: SparkSession, table: DataFrame
) -> None:
    shots = [shot(6, "x"), shot(6, "n", position=None)]
    images = goldens.images(spark, shots)
    found = spark.createDataFrame(
        [("x", made(table)[1, 6], 0.0)], "image_id string, reference_sha256 string, misfit double"
    )
    attached = choosing.attach(images, found, table, pinned=True)
    assert attached.schema.names == schemas.IMAGES.names
    by_id = {row[names.IMAGE_ID]: row for row in attached.collect()}
    content = bytes(by_id["x"][names.REFERENCE])
    assert bundle.sha256(content) == made(table)[1, 6]
    assert by_id["x"][names.IMAGE] == shots[0][names.IMAGE]
    assert by_id["n"][names.REFERENCE] is None


@pytest.mark.parametrize(("product", "share"), [(1, 1.0), (3, 0.0)])
def test_share_of_the_later_half_that_looks_like_a_golden_image(
    spark: SparkSession, table: DataFrame, product: int, share: float
) -> None:
    images = goldens.images(
        spark,
        [shot(4, "early", product=9)] + [shot(8 + n, f"x{n}", product=product) for n in range(2)],
    )
    assert choosing.share_alike(images, table, goldens.RULE, pinned=True, **LIMITS) == share


def test_features_count_while_image_and_golden_image_do(
    spark: SparkSession, table: DataFrame
) -> None:
    shots = [shot(5, "a"), shot(6, "b"), shot(6, "c"), shot(6, "x"), shot(6, "y"), shot(6, "z")]
    golden = made(table)[1, 6]
    of_x, of_y = shots[3:5]
    rows_made = [
        ("x", [1.0], "set", of_x[names.CONTENT_SHA256], golden, date(2026, 1, 6)),
        ("y", [1.0], "set", of_y[names.CONTENT_SHA256], "another", date(2026, 1, 6)),
        ("z", [1.0], "set", "of an older file", golden, date(2026, 1, 6)),
        ("a", [1.0], "set", shots[0][names.CONTENT_SHA256], golden, date(2026, 1, 5)),
    ]
    features = spark.createDataFrame(rows_made, schemas.FEATURES_TABLE)
    found = choosing.current(
        features, goldens.images(spark, shots), table, goldens.RULE, pinned=True
    )
    assert [row[names.IMAGE_ID] for row in found.collect()] == ["x"]
