"""Verdicts that a person should look at again, since something contradicts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas
from pcb_spark.learning import metrics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.learning.judged import Judged

#: Most verdicts that scores contradict; more than a person looks at in a shift.
MOST = 200

_KEPT = (*schemas.TRACEABILITY, names.VERDICT, names.DEFECTS, names.CONTENT_SHA256)


def suspects(images: DataFrame, verdicts: DataFrame, judged: Judged) -> DataFrame:
    """List suspected verdicts: those that their own score contradicts, and unequal twins.

    Parameters
    ----------
    images, verdicts : the tables of that name.
    judged : out of fold.

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
    by_score, by_twin = _contradicted(described, judged), _unequal_twins(described, judged)
    return by_score.unionByName(by_twin)


def _contradicted(described: DataFrame, judged: Judged) -> DataFrame:
    """Rank the verdicts by how far the score of a classifier that hasn't seen them lies off."""
    worst = judged[metrics.suspected_wrong_verdicts(judged, most=MOST)]
    rows = [(*pair, rank) for rank, pair in enumerate(_scored(worst), start=1)]
    schema = f"{names.IMAGE_ID} string, {names.PROBABILITY} double, {names.RANK} int"
    ranked = described.sparkSession.createDataFrame(rows, schema)
    reason = F.lit(names.SCORE_CONTRADICTS).alias(names.REASON)
    return described.join(F.broadcast(ranked), names.IMAGE_ID).select(
        *_KEPT, names.PROBABILITY, names.RANK, reason
    )


def _unequal_twins(described: DataFrame, judged: Judged) -> DataFrame:
    """Find images of the same bytes and different verdicts; all of them rank first."""
    same = Window.partitionBy(names.CONTENT_SHA256)
    unequal = F.min(names.VERDICT).over(same) != F.max(names.VERDICT).over(same)
    twins = described.withColumn("unequal", unequal).where("unequal")
    schema = f"{names.IMAGE_ID} string, {names.PROBABILITY} double"
    scores = described.sparkSession.createDataFrame(_scored(judged), schema)
    rank, reason = (
        F.lit(1).alias(names.RANK),
        F.lit(names.DUPLICATE_CONTRADICTS).alias(names.REASON),
    )
    return twins.join(scores, names.IMAGE_ID, "left").select(
        *_KEPT, names.PROBABILITY, rank, reason
    )


def _scored(judged: Judged) -> list[tuple[str, float]]:
    return list(zip(judged.image_id.tolist(), judged.score.tolist(), strict=True))
