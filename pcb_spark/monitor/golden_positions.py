"""Which positions have golden images of the line's own boards, and whose good images disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.golden import places
from pcb_spark.golden.places import PLACE
from pcb_spark.lake import schemas
from pcb_spark.lake.scopes import GOLDEN, OVERALL

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pcb_spark.golden.settings import GoldenConfig

WITH: Final = "positions_with_golden"
WITHOUT: Final = "positions_without_golden"
#: Of a position: good images of which none is made yet; several things that it shows; and how much
#: good images differ from the golden one, in grey levels, where that is far more than usual.
WAITING: Final = "golden_missing"
VIEWS: Final = "golden_views"
SPREAD: Final = "golden_spread"
#: So many times the median of all positions is far more than usual.
_FAR: Final = 2.0


def counts(images: DataFrame, goldens: DataFrame, rule: GoldenConfig) -> DataFrame:
    """Rows of ``metrics``: scope, metric, value and the number of good images behind it.

    Parameters
    ----------
    images : the table ``images``, of which positions are read.
    goldens : the table ``goldens``.
    """
    positions = _positions(images, goldens, rule)
    median = positions.agg(F.percentile_approx(SPREAD, 0.5)).first()
    usual = (median[0] if median else None) or 0.0
    has = F.col(VIEWS) > 0
    whole = positions.agg(
        F.count_if(has).alias(WITH), F.count_if(~has).alias(WITHOUT), F.count("*").alias("n")
    )
    told = positions.select(
        F.lit(GOLDEN).alias(schemas.SCOPE_KIND),
        F.col(PLACE).alias(schemas.SCOPE_VALUE),
        F.explode(
            F.array(
                _figure(WAITING, F.when(~has, F.col(names.SEEN))),
                _figure(VIEWS, F.when(F.col(VIEWS) > 1, F.col(VIEWS))),
                _figure(SPREAD, F.when(F.col(SPREAD) > _FAR * usual, F.col(SPREAD))),
            )
        ).alias("figure"),
        names.SEEN,
    ).where(F.col("figure.value").isNotNull())
    return _overall(whole).unionByName(
        told.select(
            schemas.SCOPE_KIND, schemas.SCOPE_VALUE, "figure.metric", "figure.value",
            F.col(names.SEEN).cast("long").alias("n"),
        )
    )  # fmt: skip


def _positions(images: DataFrame, goldens: DataFrame, rule: GoldenConfig) -> DataFrame:
    """Each position that images are of: good images seen, views with a golden image, spread."""
    known = places.with_place(images.select(*places.COLUMNS), rule).where(F.col(PLACE).isNotNull())
    after = Window.partitionBy(*places.COLUMNS, names.VIEW).orderBy(F.col(names.REVISION).desc())
    placed = goldens.select(*(name for name in goldens.columns if name != names.REFERENCE))
    last = placed.withColumn("nth", F.row_number().over(after)).where(F.col("nth") == 1)
    made = placed.where(F.col(names.SPREAD).isNotNull())
    spreads = made.select(names.REFERENCE_SHA256, F.col(names.SPREAD).alias(SPREAD)).dropDuplicates(
        [names.REFERENCE_SHA256]
    )
    views = last.join(spreads, names.REFERENCE_SHA256, "left").withColumn(
        PLACE, F.to_json(F.struct(*places.COLUMNS))
    )
    stand = views.groupBy(PLACE).agg(
        F.sum(names.SEEN).alias(names.SEEN),
        F.count(names.REFERENCE_SHA256).alias(VIEWS),
        F.max(SPREAD).alias(SPREAD),
    )
    joined = known.select(PLACE, *places.COLUMNS).distinct().join(stand, PLACE, "left")
    return joined.select(
        F.concat_ws(" ", *places.COLUMNS).alias(PLACE),
        F.coalesce(names.SEEN, F.lit(0)).alias(names.SEEN),
        F.coalesce(VIEWS, F.lit(0)).alias(VIEWS),
        SPREAD,
    )


def _figure(metric: str, value: Column) -> Column:
    return F.struct(F.lit(metric).alias("metric"), value.cast("double").alias("value"))


def _overall(whole: DataFrame) -> DataFrame:
    return whole.select(
        F.explode(
            F.array(_figure(WITH, F.col(WITH)), _figure(WITHOUT, F.col(WITHOUT)))
        ).alias("figure"),
        "n",
    ).select(
        F.lit(OVERALL.kind).alias(schemas.SCOPE_KIND),
        F.lit(None).cast("string").alias(schemas.SCOPE_VALUE),
        "figure.metric", "figure.value", "n",
    )  # fmt: skip
