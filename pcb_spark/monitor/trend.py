"""Nights one after the other, for who runs the process: false calls, defects and slips in ppm.

Verdicts that were drawn weigh the inverse of how likely that was, so a slip that an audit found
stands for those that nobody saw. Everything is per million flags, and beside it stands how many
verdicts it rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from pcb_spark.core import names, policy, shifts

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

SHIFT: Final = "shift"
KIND: Final = "kind"
#: What a Pareto is of.
COLUMNS: Final = (names.PART_NUMBER, names.POSITION, names.LINE, SHIFT, KIND)
_MILLION: Final = 1_000_000
_KINDS: Final = r"\|"


def outcomes(scores: DataFrame, verdicts: DataFrame, timezone: str) -> DataFrame:
    """One row a flag of nights, none of a day that the model was trained on.

    Columns are ``capture_date``, those of ``COLUMNS`` but for ``kind``, ``defects``, ``verified``
    0 or 1, and by weight ``known``, ``false_call``, ``defect`` and ``slip``, 0 without a verdict.
    """
    own = scores.where(~F.coalesce(F.col(names.IN_TRAINING_WINDOW), F.lit(False)))
    told = verdicts.where(F.col(names.VERDICT).isNotNull())
    both = own.join(
        told.select(names.IMAGE_ID, names.VERDICT, names.DEFECTS), names.IMAGE_ID, "left"
    )
    asked = F.col(names.REVIEW).isNotNull()
    weight = F.when(asked, 1 / F.col(names.REVIEW_PROBABILITY)).otherwise(1.0)
    known = F.when(F.col(names.VERDICT).isNotNull(), weight).otherwise(0.0)
    fails, cleared = (
        F.col(names.VERDICT) == names.VERDICT_FAIL,
        F.col(names.DECISION) == policy.PASS,
    )
    return both.select(
        names.CAPTURE_DATE, names.PART_NUMBER, names.POSITION, names.LINE,
        _shift(timezone).alias(SHIFT), names.DEFECTS,
        F.col(names.VERDICT).isNotNull().cast("int").alias("verified"),
        known.alias("known"),
        *(
            F.when(what, known).otherwise(0.0).alias(name)
            for name, what in (
                ("false_call", ~fails & ~cleared), ("defect", fails), ("slip", fails & cleared),
            )
        ),
    )  # fmt: skip


def _shift(timezone: str) -> Column:
    hour = F.hour(F.from_utc_timestamp(names.CAPTURED_AT, timezone))
    found = F.lit(shifts.HOURS[-1][1])
    for begins, name in shifts.HOURS:
        found = F.when(hour >= begins, name).otherwise(found)
    return found


def by_night(flags: DataFrame) -> pd.DataFrame:
    """By ``capture_date``: ``images``, ``verified``, and the three in ppm, NaN without verdicts."""
    found: pd.DataFrame = _counted(flags, names.CAPTURE_DATE).toPandas()
    return found.sort_values(names.CAPTURE_DATE).reset_index(drop=True)


def pareto(flags: DataFrame, column: str, most: int = 8) -> pd.DataFrame:
    """The values of one of ``COLUMNS`` with most defects, as ``by_night``, and ``share`` of these.

    A defect of several kinds counts in each.
    """
    if column == KIND:
        kinds = F.explode(F.split(names.DEFECTS, _KINDS))
        flags = flags.where(F.col("defect") > 0).withColumn(KIND, kinds)
    counted = _counted(flags.where(F.col(column) != ""), column)
    found: pd.DataFrame = counted.sort(F.desc("defects"), F.desc("false_calls"), column).toPandas()
    total = found["defects"].sum()
    found["share"] = found["defects"] / total if total else 0.0
    return found.head(most)


def _counted(flags: DataFrame, column: str) -> DataFrame:
    sums = {
        "images": F.count("*"), "verified": F.sum("verified"), "known": F.sum("known"),
        "false_calls": F.sum("false_call"), "defects": F.sum("defect"), "slips": F.sum("slip"),
    }  # fmt: skip
    grouped = flags.groupBy(column).agg(*(value.alias(name) for name, value in sums.items()))
    ppm = {
        f"{name}_ppm": F.when(F.col("known") > 0, F.col(name) / F.col("known") * _MILLION)
        for name in ("false_calls", "defects", "slips")
    }
    return grouped.withColumns(ppm)
