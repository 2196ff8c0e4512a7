from __future__ import annotations

from typing import TYPE_CHECKING

from pcb_spark.core import names
from pcb_spark.lake import schemas
from pcb_spark.learning.suspects import suspects
from tests.judged import judged
from tests.rows import images_table, noise

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_verdicts_that_scores_or_twins_contradict(spark: SparkSession) -> None:
    # i000 and i001 are the same file; so are i002 and i003, which agree, and i005 has no verdict.
    files = [noise(1), noise(1), noise(2), noise(2), noise(3), noise(1)]
    images = images_table(spark, [(file, None) for file in files])
    verdicts = spark.createDataFrame(
        [
            ("i000", "pass", None, None, None, False),
            ("i001", "fail", "open", None, None, False),
            ("i002", "fail", "short", None, None, False),
            ("i003", "fail", None, None, None, False),
            ("i004", "pass", None, None, None, False),
            ("i005", None, None, None, None, False),
        ],
        schemas.VERDICTS,
    )
    table = judged(
        [True, True, True, False],
        [0.4, 0.9, 0.1, 0.8],
        image_id=["i001", "i002", "i003", "i004"],
    )

    found = suspects(images, verdicts, table)

    rows = found.select("reason", "rank", "image_id", "verdict", "defects", "probability").collect()
    assert sorted((tuple(row) for row in rows), key=lambda row: row[:3]) == [
        ("duplicate_contradicts", 1, "i000", "pass", None, None),
        ("duplicate_contradicts", 1, "i001", "fail", "open", 0.4),
        ("score_contradicts", 1, "i003", "fail", None, 0.1),
        ("score_contradicts", 2, "i004", "pass", None, 0.8),
        ("score_contradicts", 3, "i001", "fail", "open", 0.4),
    ]
    assert {*found.columns, names.RUN_ID} == set(schemas.SUSPECTS.names)
