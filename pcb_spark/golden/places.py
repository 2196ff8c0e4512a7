"""Where golden images belong: what part at which position, and on which line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from pcb_spark.core import names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.golden.settings import GoldenConfig

#: What tells one position from another, null where it isn't known.
COLUMNS: Final = (names.LINE, names.PART_NUMBER, names.POSITION)
#: These as one text.
PLACE: Final = "place"


def with_place(rows: DataFrame, rule: GoldenConfig) -> DataFrame:
    """Add ``place``, null where neither part nor position is known; ``line`` where asked for."""
    if not rule.by_line:
        rows = rows.withColumn(names.LINE, F.lit(None).cast("string"))
    known = F.coalesce(names.PART_NUMBER, names.POSITION).isNotNull()
    return rows.withColumn(PLACE, F.when(known, F.to_json(F.struct(*COLUMNS))))
