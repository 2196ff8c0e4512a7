from __future__ import annotations

from typing import TYPE_CHECKING

from pcb_spark.monitor import golden_positions
from tests import goldens
from tests.goldens import night, shot

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_positions_without_golden_image_and_those_whose_good_images_disagree(
    spark: SparkSession,
) -> None:
    shots = [
        *(shot(5, f"a{n}") for n in range(3)),
        *(shot(5, f"b{n}", position="U2", product=2 + n % 2) for n in range(6)),
        *(shot(5, f"c{n}", position="U3") for n in range(2)),
        shot(5, "d", position="U4", verdict=None),
    ]
    images = goldens.images(spark, shots)
    found = golden_positions.counts(images, night(spark, shots), goldens.RULE)
    assert sorted((row[1] or "", row[2], row[3], row[4]) for row in found.collect()) == [
        ("", "positions_with_golden", 2.0, 4),
        ("", "positions_without_golden", 2.0, 4),
        ("L1 U2", "golden_views", 2.0, 6),
        ("L1 U3", "golden_missing", 2.0, 2),
        ("L1 U4", "golden_missing", 0.0, 0),
    ]
