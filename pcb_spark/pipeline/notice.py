"""What the defects seen since the gate say of the promise; part of scoring and of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import VERDICTS
from pcb_spark.learning import gate
from pcb_spark.learning.near_slips import NearSlips, near_slips
from pcb_spark.learning.noticed import Noticed
from pcb_spark.learning.slip_alarm import slip_alarm
from pcb_spark.pipeline.artifacts import read_reviews

if TYPE_CHECKING:
    import pandas as pd

    from pcb_spark.core.bundle import Manifest
    from pcb_spark.pipeline.job import Job


def look(job: Job, manifest: Manifest) -> Noticed | None:
    """Test the promise on the defects seen behind this model's gate; None where there are none.

    With another model the test begins anew: what its gate lets slip is another question.
    """
    reviews = read_reviews(job)
    if reviews is None or not tables.exists(job.spark, job.table(VERDICTS)):
        return None
    verdicts = tables.read(job.spark, job.table(VERDICTS), schemas.VERDICTS)
    own = reviews.where(F.col(names.MODEL_VERSION) == manifest.model_version)
    seen: pd.DataFrame = gate.seen_defects(own, verdicts).toPandas()
    if seen.empty:
        return None
    seen = seen.sort_values(["seen_at", names.IMAGE_ID])
    promised = manifest.threshold["max_slip_rate"]
    return Noticed(
        max_slip_rate=promised,
        alarm=slip_alarm(
            seen["slipped"], seen[names.SLIP_SEEN_PROBABILITY], max_slip_rate=promised
        ),
        near=_near(seen, manifest),
    )


def _near(seen: pd.DataFrame, manifest: Manifest) -> NearSlips:
    """Of its pooled threshold; bundles of earlier versions expect nothing."""
    threshold = manifest.threshold
    own = seen[(seen[names.THRESHOLD] == threshold["value"]) & ~seen["slipped"]]
    return near_slips(
        own[names.PROBABILITY],
        near_until=threshold.get("near_until", threshold["value"]),
        expected=threshold.get("near_share", 0.0),
    )
