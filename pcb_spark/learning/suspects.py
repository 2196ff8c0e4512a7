"""Verdicts that a person should look at again, since something contradicts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas
from pcb_spark.learning import metrics

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

#: Most verdicts that scores contradict; more than a person looks at in a shift.
MOST = 200

_KEPT = (*schemas.TRACEABILITY, names.VERDICT, names.DEFECTS, names.CONTENT_SHA256)


def suspects(images: DataFrame, verdicts: DataFrame, scores: pd.DataFrame) -> DataFrame:
    """List suspected verdicts: those that their own score contradicts, and unequal twins.

    Parameters
    ----------
    images, verdicts : the tables of that name.
    scores : out of fold, on the driver.

    Returns
    -------
    Traceability, ``verdict``, ``defects``, ``content_sha256``, ``probability`` (null where the
    image wasn't judged), ``reason`` and ``rank`` (1 is the worst of its reason).
    """
    known = verdicts.where(F.col(names.VERDICT).isNotNull()).select(
        names.IMAGE_ID, names.VERDICT, names.DEFECTS
    )
    described = images.select(*schemas.TRACEABILITY, names.CONTENT_SHA256).join(
        known, names.IMAGE_ID
    )
    by_score, by_twin = _contradicted(described, scores), _unequal_twins(described, scores)
    return by_score.unionByName(by_twin)


def _contradicted(described: DataFrame, scores: pd.DataFrame) -> DataFrame:
    """Rank the verdicts by how far the score of a classifier that hasn't seen them lies off."""
    is_fail = scores[names.VERDICT] == names.VERDICT_FAIL
    positions = metrics.suspected_wrong_verdicts(is_fail, scores[names.PROBABILITY], most=MOST)
    worst = scores.iloc[positions]
    pairs = zip(worst[names.IMAGE_ID], worst[names.PROBABILITY].astype(float), strict=True)
    rows = [(name, score, rank) for rank, (name, score) in enumerate(pairs, start=1)]
    schema = f"{names.IMAGE_ID} string, {names.PROBABILITY} double, {names.RANK} int"
    ranked = described.sparkSession.createDataFrame(rows, schema)
    reason = F.lit(names.SCORE_CONTRADICTS).alias(names.REASON)
    return described.join(F.broadcast(ranked), names.IMAGE_ID).select(
        *_KEPT, names.PROBABILITY, names.RANK, reason
    )


def _unequal_twins(described: DataFrame, scores: pd.DataFrame) -> DataFrame:
    """Find images of the same bytes and different verdicts; all of them rank first."""
    same = Window.partitionBy(names.CONTENT_SHA256)
    unequal = F.min(names.VERDICT).over(same) != F.max(names.VERDICT).over(same)
    twins = described.withColumn("unequal", unequal).where("unequal")
    pairs = list(zip(scores[names.IMAGE_ID], scores[names.PROBABILITY].astype(float), strict=True))
    schema = f"{names.IMAGE_ID} string, {names.PROBABILITY} double"
    judged = described.sparkSession.createDataFrame(pairs, schema)
    rank, reason = (
        F.lit(1).alias(names.RANK),
        F.lit(names.DUPLICATE_CONTRADICTS).alias(names.REASON),
    )
    return twins.join(judged, names.IMAGE_ID, "left").select(
        *_KEPT, names.PROBABILITY, rank, reason
    )
