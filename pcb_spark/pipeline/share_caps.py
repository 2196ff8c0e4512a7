"""The share caps of nights: no night clears a larger share of its images than the evidence did.

Each date's cap is that of the last date before it which the same model has scored. Days that the
model was trained on give none: it knows these images. The table ``share_caps``, to which rows are
only added, keeps every cap that a decision was made by, or that an edge bundle was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pyspark.sql import functions as F

from pcb_spark.core import names, policy
from pcb_spark.core.share_cap import Evidence, ShareCap, of_night
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import SCORES, SHARE_CAPS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from pcb_spark.core.bundle import Manifest
    from pcb_spark.lake.run import Run


class _Night(NamedTuple):
    """The scores of a date (n,), and the segment of each, None where it isn't known."""

    probability: NDArray[np.float64]
    segments: list[str | None]


def limit(
    run: Run, scored: DataFrame, manifest: Manifest, dates: Sequence[date]
) -> dict[date, policy.SegmentThresholds]:
    """The thresholds of each date that has a cap, and keep the caps.

    Parameters
    ----------
    scored : ``image_id``, ``capture_date``, traceability and ``probability`` of what is to be
        decided, computed already.
    dates : the capture dates in it, in order.

    Returns
    -------
    Nothing for dates that no earlier night of this model, or a manifest of an earlier version,
    gives a cap for: there the model's own thresholds count.
    """
    thresholds = policy.SegmentThresholds.of(manifest.threshold)
    return {
        day: each.limit(thresholds, model_sha256=manifest.model_sha256)
        for day, each in _caps(run, scored, manifest, dates).items()
    }


def of_day(run: Run, manifest: Manifest, day: date) -> ShareCap | None:
    """The cap by which images of ``day`` are to be decided, and keep it; None as in ``limit``."""
    return _caps(run, None, manifest, [day]).get(day)


def _caps(
    run: Run, scored: DataFrame | None, manifest: Manifest, dates: Sequence[date]
) -> dict[date, ShareCap]:
    """The caps of dates; and keep them."""
    pooled, own = _evidence(manifest)
    if pooled is None or not dates:
        return {}
    column = policy.SegmentThresholds.of(manifest.threshold).column
    night = _Nights(run, scored, manifest, column)
    before = night.last_before(dates[0])
    record = _last_record(run, manifest.model_sha256, dates[0])
    caps: dict[date, ShareCap] = {}
    for day in dates:
        found = None if before is None else night.of(before)
        if before is not None and found is not None and not np.isnan(found.probability).all():
            record = of_night(
                before, found.probability, found.segments, evidence=pooled, segment_evidence=own,
                model_sha256=manifest.model_sha256, before=record,
            )  # fmt: skip
        if record is not None:
            caps[day] = record
        before = day
    _keep(run, caps)
    return caps


def _evidence(manifest: Manifest) -> tuple[Evidence | None, dict[str, Evidence]]:
    """Of the pooled threshold, and of each segment's own."""
    told = manifest.threshold
    own = {name: Evidence.of(each) for name, each in told.get("by_segment", {}).items()}
    return Evidence.of(told), {name: each for name, each in own.items() if each is not None}


class _Nights:
    """Scores by date: of what is being decided, and of what was before by the same model."""

    def __init__(
        self, run: Run, scored: DataFrame | None, manifest: Manifest, segment: str | None
    ) -> None:
        self._scored = scored
        self._segment = F.lit(None).cast("string") if segment is None else F.col(segment)
        self._past = None
        if tables.exists(run.spark, run.table(SCORES)):
            past = tables.read(run.spark, run.table(SCORES), schemas.SCORES)
            own = F.col(names.MODEL_SHA256) == manifest.model_sha256
            new = ~F.coalesce(F.col(names.IN_TRAINING_WINDOW), F.lit(False))
            self._past = past.where(own & new)

    def last_before(self, day: date) -> date | None:
        """The last date before ``day`` that the model has scored."""
        if self._past is None:
            return None
        date_of = F.col(names.CAPTURE_DATE)
        (found,) = self._past.where(date_of < F.lit(day)).agg(F.max(date_of)).first() or (None,)
        return found

    def of(self, day: date) -> _Night:
        """The whole night: late images join those that were scored before."""
        now = None if self._scored is None else self._columns(self._scored, day)
        if self._past is not None:
            earlier = self._columns(self._past, day)
            if now is None:
                now = earlier
            else:
                ids = now.select(names.IMAGE_ID)
                now = now.unionByName(earlier.join(ids, names.IMAGE_ID, "left_anti"))
        if now is None:
            return _Night(np.empty(0), [])
        found: pd.DataFrame = now.toPandas()
        probability = found[names.PROBABILITY].to_numpy(dtype=np.float64)
        return _Night(probability, found["segment"].tolist())

    def _columns(self, rows: DataFrame, day: date) -> DataFrame:
        return rows.where(F.col(names.CAPTURE_DATE) == F.lit(day)).select(
            names.IMAGE_ID,
            F.col(names.PROBABILITY).cast("double").alias(names.PROBABILITY),
            self._segment.alias("segment"),
        )


def _records(run: Run) -> DataFrame | None:
    if not tables.exists(run.spark, run.table(SHARE_CAPS)):
        return None
    return tables.read(run.spark, run.table(SHARE_CAPS), schemas.SHARE_CAPS)


def _last_record(run: Run, model_sha256: str, day: date) -> ShareCap | None:
    """The cap of the model's last night before ``day``; segments that rest keep theirs of it."""
    records = _records(run)
    if records is None:
        return None
    own = F.col(names.MODEL_SHA256) == model_sha256
    earlier = records.where(own & (F.col(names.CAPTURE_DATE) < F.lit(day)))
    order = (F.desc(names.CAPTURE_DATE), F.desc("made_at"))
    found = earlier.orderBy(*order).select("record").first()
    return None if found is None else ShareCap.from_json(found[0])


def _keep(run: Run, caps: Mapping[date, ShareCap]) -> None:
    """Add the caps that aren't there: a night that is done over has the same ones."""
    records = _records(run)
    known: set[tuple[Any, ...]] = set()
    if records is not None and caps:
        dates = records.where(F.col(names.CAPTURE_DATE).isin([*caps]))
        known = {tuple(row) for row in dates.select(names.CAPTURE_DATE, "record").collect()}
    rows = [
        (day, date.fromisoformat(each.night), each.model_sha256, each.scores_sha256,
         each.pooled.share, each.pooled.value, each.to_json(), run.run_id, run.started_at)
        for day, each in caps.items() if (day, each.to_json()) not in known
    ]  # fmt: skip
    if rows:
        tables.append_rows(run.spark, rows, run.table(SHARE_CAPS), schemas.SHARE_CAPS)
