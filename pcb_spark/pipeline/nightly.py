"""The night: what no night has scored is scored by the champion, watched, and published.

``decisions`` keeps every decision that a night published, and says by that what is done: an image
that has none there, of the file that it is now, is scored. It is written last, after ``scores`` and
``reviews``, so a night that was killed anywhere is done again from the start and ends the same.

The champion is opened once, before anything is scored: one version a run.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import IMAGES, SCORES
from pcb_spark.lake.run import Counts, close_books
from pcb_spark.learning.noticed import sentences
from pcb_spark.pipeline import approval, decisions, golden, logs, registry, score, share_caps, watch
from pcb_spark.pipeline.ingest import run_ingest
from pcb_spark.pipeline.job import Job, refuse_untrained
from pcb_spark.pipeline.notice import look

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.pipeline.approval import Champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Which capture dates a night scores: all of these whole, or, without, what it has missed."""

    first: date | None = None
    last: date | None = None

    @property
    def whole(self) -> bool:
        """Whether dates were named, and are scored again as a whole."""
        return self.first is not None and self.last is not None


def run_nightly(job: Job, *, days: Days, take_in: bool) -> Counts:
    """Take in what is new, unless a service does, score by the champion, and publish.

    Raises
    ------
    ApprovalError : nobody promoted a version, or the alias names another one.
    """
    champion = approval.champion(job, registry.open_registry(job.config))
    manifest = champion.bundle.manifest
    refuse_untrained(job.config, "the champion", trained=manifest.trained_backbone)
    if take_in:
        run_ingest(job)
    golden.run_golden_if_compared(job, manifest.reading)
    began = time.monotonic()
    with contextlib.ExitStack() as caches:
        images = _wanted(job, days, caches)
        found = images.groupBy(names.CAPTURE_DATE).count().collect()
        total, dates = sum(row["count"] for row in found), sorted(row[0] for row in found)
        job.notes.append(
            f"champion: version {champion.version.number}, {manifest.model_version}, "
            f"bundle {champion.version.bundle_sha256}"
        )
        if total:
            _score(job, images, champion, total, dates)
        else:
            job.notes.append(_nothing(job, days))
    out = _own(job, dates).count() if total else 0
    job.notes.extend(sentences(look(job, manifest)))
    key = f"night {_span(dates) or 'without new images'}, version {champion.version.number}"
    counts = Counts(rows_in=total, rows_out=out, rows_rejected=0)
    close_books(job, "nightly", {names.KIND_IMAGE: counts}, key, began)
    return counts


def yesterday(now: datetime, timezone: str) -> date:
    """The day before the one that it is at the plant."""
    return now.astimezone(ZoneInfo(timezone)).date() - timedelta(days=1)


def _score(job: Job, images: DataFrame, champion: Champion, total: int, dates: list[date]) -> None:
    with logs.progress(job.spark, "nightly"), contextlib.ExitStack() as caches:
        scored = score.probabilities(job, images, champion.bundle, total)
        by_date = {}
        if job.config.policy.share_cap or job.config.monitor.enabled:
            scored = tables.computed(scored, caches)
        watched = watch.watch(job, scored, images, champion.bundle, dates)
        if job.config.policy.share_cap:
            by_date = share_caps.limit(job, scored, champion.bundle.manifest, dates)
        decided = tables.computed(
            score.decide(job, scored, champion.bundle, by_date).select(schemas.SCORES.names),
            caches,
        )
        kept = _scores(job, dates).join(decided.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
        rows = kept.select(schemas.SCORES.names).unionByName(decided)
        tables.replace_dates(rows, job.table(SCORES), schemas.SCORES, lease=job.lease)
        score.ask(job, decided)
        told = decisions.publish(job, decided, images, champion.version, dates)
    job.notes.append(
        f"scored {total} images of {_span(dates)}, {told.published} decisions published; "
        f"{told.decided_before} had been decided before, {told.differ} of them differently"
    )
    job.notes.extend(watched)


def _wanted(job: Job, days: Days, caches: contextlib.ExitStack) -> DataFrame:
    """The images to score: whole dates that were named, else what no night has decided yet."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    date_of = F.col(names.CAPTURE_DATE)
    if days.whole:
        return images.where(date_of.between(F.lit(days.first), F.lit(days.last)))
    due = images.where(date_of.between(F.lit(_begin(job)), F.lit(_end(job))))
    missed = tables.computed(decisions.undecided(job, due), caches)
    dates = [row[0] for row in missed.select(date_of).distinct().collect()]
    ids = F.broadcast(missed.select(names.IMAGE_ID))
    return images.where(date_of.isin(dates)).join(ids, names.IMAGE_ID, "left_semi")


def _begin(job: Job) -> date:
    """The first date that nights are for: the first after the training of the first champion."""
    if job.config.scoring.since:
        return job.config.scoring.since
    return approval.history(job, job.config.registry.model)[0].trained_until + timedelta(days=1)


def _end(job: Job) -> date:
    """The last date that this night is for."""
    last = yesterday(job.started_at, job.config.ingest.timezone)
    return min(last, job.config.scoring.until or last)


def _scores(job: Job, dates: list[date]) -> DataFrame:
    if not tables.exists(job.spark, job.table(SCORES)):
        return job.spark.createDataFrame([], schemas.SCORES)
    found = tables.read(job.spark, job.table(SCORES), schemas.SCORES)
    return found.where(F.col(names.CAPTURE_DATE).isin(dates))


def _own(job: Job, dates: list[date]) -> DataFrame:
    return _scores(job, dates).where(F.col(names.RUN_ID) == job.run_id)


def _nothing(job: Job, days: Days) -> str:
    """Say why nothing was scored; a scheduler's second try finds here that its first one did."""
    if days.whole:
        return f"no images of {days.first} to {days.last}"
    published = decisions.last_run(job)
    if published:
        return f"no new images until {_end(job)}; run {published} published last"
    return (
        f"no images of {_begin(job)} to {_end(job)}; --date, or --from and --to, score other days"
    )


def _span(dates: list[date]) -> str:
    if not dates:
        return ""
    return f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
