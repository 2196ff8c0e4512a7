"""Golden images are made on Spark of what people verified, and anew where something changed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.core import names, validity
from pcb_spark.golden import making
from tests import goldens, rows
from tests.goldens import night, shot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def told(table: DataFrame) -> list[tuple[Any, ...]]:
    """Line, view, revision, day, images, whether there is a golden image, reason; in order."""
    found = table.orderBy(names.LINE, names.VIEW, names.REVISION).collect()
    return [
        (
            row[names.LINE], row[names.VIEW], row[names.REVISION], row[validity.VALID_FROM].day,
            " ".join(row[names.GOLDEN_IMAGES]), row[names.REFERENCE] is not None,
            row[names.REASON],
        )
        for row in found
    ]  # fmt: skip


def test_only_what_a_person_verified_as_good_counts_from_the_day_after(
    spark: SparkSession,
) -> None:
    rule = goldens.RULE.model_copy(update={"since": date(2026, 1, 5)})
    shots = [
        shot(5, "a"),
        shot(5, "bad", verdict="fail"),
        shot(5, "unseen", verdict=None),
        shot(5, "nowhere", position=None),
        shot(5, "b"),
        shot(5, "broken", content=rows.NO_IMAGE),
        shot(4, "before since"),
        shot(5, "late", verified=9),
        shot(6, "other line", line="L2"),
    ]
    assert told(night(spark, shots, rule=rule)) == [
        ("L1", 1, 1, 10, "a b late", True, None),
        ("L2", 1, 1, 7, "other line", False, "too_few_images"),
    ]
    told_of = making.good_images(
        goldens.images(spark, shots), goldens.verdicts(spark, shots), goldens.maker(rule)
    )
    assert told_of.count() == 5


def test_nights_one_by_one_make_what_one_night_makes_and_a_correction_takes_one_back(
    spark: SparkSession,
) -> None:
    shots = [shot(5 + n // 4, name, product=1 + n % 2) for n, name in enumerate("abcdefghijkl")]
    whole = night(spark, shots)
    first = night(spark, [each for each in shots if each[names.CAPTURE_DATE].day < 7])
    both = night(spark, shots, first)
    made = F.col(names.REFERENCE).isNotNull()
    compared = (names.VIEW, validity.VALID_FROM, names.REFERENCE_SHA256, names.GOLDEN_IMAGES)
    assert (
        both.where(made).select(*compared).orderBy(*compared[:2]).collect()
        == whole.where(made).select(*compared).orderBy(*compared[:2]).collect()
    )
    pruned = shots[1:]
    next(each for each in pruned if each[names.IMAGE_ID] == "k")[names.VERDICT] = "fail"
    after = night(spark, pruned, both)
    assert after.count() == both.count() + 1
    assert told(after)[2] == ("L1", 1, 3, 8, "c e g i", True, None)


def test_lines_share_golden_images_where_the_configuration_says_so(spark: SparkSession) -> None:
    shots = [shot(5, name, line="L2" if name > "b" else "L1") for name in "abc"]
    together = night(spark, shots, rule=goldens.RULE.model_copy(update={"by_line": False}))
    assert told(together) == [(None, 1, 1, 6, "a b c", True, None)]
