"""The report job: the tables and the bundle become one HTML file.

Only what is shown is collected: out-of-fold scores without features, decisions as counts, and the
bytes of the few images of the gallery.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark import report
from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import filesystem, schemas, tables
from pcb_spark.lake.catalogue import (
    BUNDLE,
    IMAGES,
    METRICS,
    OUT_OF_FOLD,
    REJECTS,
    REPORT,
    REPORTS,
    RUNS,
    SCORES,
    SUSPECTS,
    VERDICTS,
)
from pcb_spark.monitor import trend
from pcb_spark.pipeline import references
from pcb_spark.pipeline.artifacts import read_bundle
from pcb_spark.pipeline.notice import look

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructType

    from pcb_spark.core.bundle import Manifest
    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)

_MOST_SUSPECTS = 20
_COUNTED = (names.CAPTURE_DATE, names.LINE, names.DECISION, names.REASON, names.REVIEW)


def run_report(job: Job, *, contest: report.Contest | None = None) -> str:
    """Write ``report.html``, and the same under ``reports/`` by run; return the former's URI.

    Parameters
    ----------
    contest : how the model did beside the champion, where it was trained to take its place.

    Raises
    ------
    InputError : no job has written anything yet.
    """
    evidence = dataclasses.replace(with_trend(job, collect(job)), contest=contest)
    wanted = report.wanted(evidence) if evidence.gallery else {}
    shown = dataclasses.replace(evidence, pairs=read_pairs(job, wanted, evidence.manifest))
    _write(job, report.render(shown))
    uri = job.table(REPORT)
    log.info("report: %s", uri)
    return uri


def collect(job: Job) -> report.Evidence:
    """Read what the report shows, except for its images."""
    runs = _newest_runs(job)
    model = read_bundle(job) if tables.exists(job.spark, job.table(BUNDLE)) else None
    trained = F.col(names.RUN_ID) == F.lit(model.manifest.lineage["run_id"] if model else None)
    return report.Evidence(
        made_at=datetime.now(UTC),
        where=job.config.paths.out,
        model=model,
        metrics=_found(job, METRICS, schemas.METRICS).where(trained).toPandas(),
        out_of_fold=_found(job, OUT_OF_FOLD, schemas.OUT_OF_FOLD).where(trained).toPandas(),
        night=_night(job),
        runs=runs,
        rejects=_rejects(job, runs),
        suspects=_suspects(job, trained),
        noticed=look(job, model.manifest) if model else None,
        gallery=job.config.report.gallery,
        max_pixels=job.config.ingest.max_pixels,
    )


def with_trend(job: Job, evidence: report.Evidence) -> report.Evidence:
    """Add what became of the nights so far, where there were some."""
    if not tables.exists(job.spark, job.table(SCORES)):
        return evidence
    scores, verdicts = _found(job, SCORES, schemas.SCORES), _found(job, VERDICTS, schemas.VERDICTS)
    with contextlib.ExitStack() as caches:
        flags = tables.cached(trend.outcomes(scores, verdicts, job.config.ingest.timezone), caches)
        nights = trend.by_night(flags)
        if nights.empty:
            return evidence
        paretos = {column: trend.pareto(flags, column) for column in trend.COLUMNS}
    return dataclasses.replace(evidence, trend=nights, pareto=paretos)


def _found(job: Job, name: str, schema: StructType) -> DataFrame:
    """Read a table, empty where it isn't there yet."""
    if not tables.exists(job.spark, job.table(name)):
        return job.spark.createDataFrame([], schema)
    return tables.read(job.spark, job.table(name), schema)


def _newest_runs(job: Job) -> pd.DataFrame:
    runs: pd.DataFrame = _found(job, RUNS, schemas.RUNS).toPandas()
    if runs.empty:
        what = f"nothing to report on in {job.config.paths.out}"
        raise InputError(what, hint="run the other jobs first, or correct paths.out")
    return runs.sort_values("started_at").groupby(["job", names.KIND], as_index=False).tail(1)


def _rejects(job: Job, runs: pd.DataFrame) -> pd.DataFrame:
    own = _found(job, REJECTS, schemas.REJECTS).where(
        F.col(names.RUN_ID).isin(set(runs[names.RUN_ID]))
    )
    return own.groupBy(names.STAGE, names.KIND, names.REASON).count().toPandas()


def _suspects(job: Job, trained: Column) -> pd.DataFrame:
    """Collect the worst suspects of either reason; scores often contradict more than are shown."""
    own = _found(job, SUSPECTS, schemas.SUSPECTS).where(
        trained & (F.col(names.RANK) <= _MOST_SUSPECTS)
    )
    found: pd.DataFrame = (
        own.sort(names.RANK, names.REASON, names.IMAGE_ID).limit(_MOST_SUSPECTS).toPandas()
    )
    return found


def _night(job: Job) -> report.Night | None:
    """Collect the newest run of the score job, as counts and the few nearest to the threshold."""
    scores = _found(job, SCORES, schemas.SCORES)
    newest = scores.select(names.SCORED_AT, names.RUN_ID, names.MODEL_VERSION)
    first = newest.sort(F.col(names.SCORED_AT).desc()).first()
    if first is None:
        return None
    own = scores.where(F.col(names.RUN_ID) == first[names.RUN_ID])
    gap = F.abs(F.col(names.PROBABILITY) - F.col(names.THRESHOLD))
    scored = own.where(F.col(names.STATUS) == names.STATUS_OK).sort(gap, names.IMAGE_ID)
    return report.Night(
        run_id=first[names.RUN_ID],
        scored_at=first[names.SCORED_AT].replace(tzinfo=UTC),
        model_version=first[names.MODEL_VERSION],
        counts=own.groupBy(*_COUNTED).count().toPandas(),
        nearest=scored.limit(job.config.report.gallery).toPandas(),
    )


def read_pairs(
    job: Job, wanted: Mapping[str, date], manifest: Manifest | None
) -> dict[str, report.PairFiles]:
    """Read images and what a model compares them with; the dates spare reading the other days."""
    if not wanted:
        return {}
    images = _found(job, IMAGES, schemas.IMAGES)
    days = images.where(F.col(names.CAPTURE_DATE).isin(set(wanted.values())))
    chosen = days.where(F.col(names.IMAGE_ID).isin(list(wanted)))
    own = manifest is not None and manifest.reading.is_own
    with contextlib.ExitStack() as caches:
        if manifest is not None and own:
            chosen = caches.enter_context(references.attached(job, chosen, manifest.reading))
        columns = (names.IMAGE_ID, names.IMAGE, names.REFERENCE, names.REFERENCE_SHA256)
        rows = chosen.select(*columns).collect()
    made_of = _made_of(job, {row[names.REFERENCE_SHA256] for row in rows}) if own else {}
    return {
        row[names.IMAGE_ID]: report.PairFiles(
            bytes(row[names.IMAGE]),
            bytes(row[names.REFERENCE]) if row[names.REFERENCE] else None,
            made_of.get(row[names.REFERENCE_SHA256], ""),
        )
        for row in rows
    }


def _made_of(job: Job, hashes: set[str | None]) -> dict[str, str]:
    """What these golden images are made of, in words."""
    made = references.goldens(job).where(F.col(names.REFERENCE).isNotNull())
    columns = (names.REFERENCE_SHA256, names.BOARDS, names.FIRST_CAPTURED_AT)
    found = made.where(F.col(names.REFERENCE_SHA256).isin(list(filter(None, hashes))))
    return {
        row[0]: f"{row[1]} boards since {row[2]:%Y-%m-%d}"
        for row in found.select(*columns).collect()
    }


def _write(job: Job, html: str) -> None:
    filesystem.make_folder(job.spark, job.table(REPORTS))
    for name in (f"{REPORTS}/{job.run_id}.html", REPORT):
        filesystem.write_whole(job.spark, job.table(name), html.encode())
