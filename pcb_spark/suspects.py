"""Verdicts that a person should look at again, since something contradicts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark import metrics
from pcb_spark import schemas as s

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

#: Most verdicts that scores contradict; more than a person looks at in a shift.
MOST = 200

_KEPT = (*s.TRACEABILITY, s.VERDICT, s.DEFECTS, s.CONTENT_SHA256)


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
    known = verdicts.where(F.col(s.VERDICT).isNotNull()).select(s.IMAGE_ID, s.VERDICT, s.DEFECTS)
    described = images.select(*s.TRACEABILITY, s.CONTENT_SHA256).join(known, s.IMAGE_ID)
    by_score, by_twin = _contradicted(described, scores), _unequal_twins(described, scores)
    return by_score.unionByName(by_twin)


def _contradicted(described: DataFrame, scores: pd.DataFrame) -> DataFrame:
    """Rank the verdicts by how far the score of a classifier that hasn't seen them lies off."""
    is_fail = scores[s.VERDICT] == s.VERDICT_FAIL
    positions = metrics.suspected_wrong_verdicts(is_fail, scores[s.PROBABILITY], most=MOST)
    worst = scores.iloc[positions]
    pairs = zip(worst[s.IMAGE_ID], worst[s.PROBABILITY].astype(float), strict=True)
    rows = [(name, score, rank) for rank, (name, score) in enumerate(pairs, start=1)]
    schema = f"{s.IMAGE_ID} string, {s.PROBABILITY} double, {s.RANK} int"
    ranked = described.sparkSession.createDataFrame(rows, schema)
    reason = F.lit(s.SCORE_CONTRADICTS).alias(s.REASON)
    return described.join(F.broadcast(ranked), s.IMAGE_ID).select(
        *_KEPT, s.PROBABILITY, s.RANK, reason
    )


def _unequal_twins(described: DataFrame, scores: pd.DataFrame) -> DataFrame:
    """Find images of the same bytes and different verdicts; all of them rank first."""
    same = Window.partitionBy(s.CONTENT_SHA256)
    unequal = F.min(s.VERDICT).over(same) != F.max(s.VERDICT).over(same)
    twins = described.withColumn("unequal", unequal).where("unequal")
    pairs = list(zip(scores[s.IMAGE_ID], scores[s.PROBABILITY].astype(float), strict=True))
    schema = f"{s.IMAGE_ID} string, {s.PROBABILITY} double"
    judged = described.sparkSession.createDataFrame(pairs, schema)
    rank, reason = F.lit(1).alias(s.RANK), F.lit(s.DUPLICATE_CONTRADICTS).alias(s.REASON)
    return twins.join(judged, s.IMAGE_ID, "left").select(*_KEPT, s.PROBABILITY, rank, reason)
