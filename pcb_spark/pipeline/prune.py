"""The prune job: capture dates before a day leave the tables, and don't come back from the drop.

The ledger is told first: a file of which it says ``pruned`` isn't taken in again, whatever ends
this job in between; and what is still in a table goes when the job runs once more.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import ApprovalError, InputError
from pcb_spark.ingest import ledger
from pcb_spark.lake import catalogue, schemas, tables
from pcb_spark.lake.catalogue import BUNDLE, FILES, IMAGES, VERDICTS
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.lake.run import Counts, close_books, writing
from pcb_spark.lake.tables import cached
from pcb_spark.pipeline import approval, logs, registry
from pcb_spark.pipeline.artifacts import read_bundle

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from pcb_spark.core.bundle import Manifest
    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)

#: Tables of which rows with an earlier capture date go.
_DATED: dict[str, StructType] = catalogue.retained("days", "rows")


@dataclass(frozen=True, slots=True)
class Going:
    """What of a table has to go: its rows, and the capture dates they are of."""

    rows: int
    days: tuple[date, ...]

    def __str__(self) -> str:
        if not self.days:
            return f"{self.rows} rows"
        return f"{self.rows} rows of {len(self.days)} days, {self.days[0]} to {self.days[-1]}"


def run_prune(
    job: Job, *, before: date, force: bool = False, dry_run: bool = False
) -> dict[str, Going]:
    """Remove what was captured before a day; with ``dry_run`` say only what that would be.

    Raises
    ------
    InputError : a model in use was trained on these days, and ``force`` doesn't say that they go.
    """
    began = time.monotonic()
    with logs.progress(job.spark, "prune"), contextlib.ExitStack() as caches:
        if not dry_run:
            with writing(job):
                ImageStore(job.spark, job.config.paths.out, job.lease).recover()
        gone = cached(_ledger_going(job, before), caches)
        going = {name: _going(_read(job, name), before) for name in _DATED}
        going |= {VERDICTS: Going(_verdicts(job, gone).count(), ()), FILES: Going(gone.count(), ())}
        if not force:
            _refuse_trained(job, going[IMAGES].days, before)
        if dry_run:
            _say(job, going, before)
            return going
        counts = _remove(job, gone, going, before)
    inputs = f"before={before}{' force' if force else ''}"
    close_books(job, "prune", counts, inputs, began)
    return going


def _remove(
    job: Job, gone: DataFrame, going: Mapping[str, Going], before: date
) -> dict[str, Counts]:
    """Remove it from table after table, the ledger first; the books of each."""
    there = [n for n in (*_DATED, VERDICTS) if tables.exists(job.spark, job.table(n))]
    had = {name: _read(job, name).count() for name in there}
    stays = F.col(names.CAPTURE_DATE).isNull() | (F.col(names.CAPTURE_DATE) >= F.lit(before))
    with writing(job):
        if going[FILES].rows:
            _bury(job, gone)
        for name, schema in catalogue.retained("rows").items():
            if going[name].rows:
                kept = _read(job, name).where(stays)
                tables.replace(kept.coalesce(1), job.table(name), schema, lease=job.lease)
        if going[VERDICTS].rows:
            kept = _read(job, VERDICTS).join(
                gone.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti"
            )
            tables.replace(kept, job.table(VERDICTS), schemas.VERDICTS, lease=job.lease)
        for name in catalogue.retained("days").keys() - {IMAGES}:
            for day in going[name].days:
                tables.remove(job.spark, f"{job.table(name)}/{names.CAPTURE_DATE}={day}")
        if going[IMAGES].days:
            ImageStore(job.spark, job.config.paths.out, job.lease).drop(going[IMAGES].days)
    return {
        name: Counts(
            rows_in=had[name], rows_out=_read(job, name).count(), rows_rejected=going[name].rows
        )
        for name in had
    }


def _ledger_going(job: Job, before: date) -> DataFrame:
    return ledger.going(_read(job, FILES, schemas.FILES), _read(job, IMAGES), before)


def _bury(job: Job, gone: DataFrame) -> None:
    """Leave one row a file in the ledger, by which ingest knows it when it sees it again."""
    files = _read(job, FILES, schemas.FILES)
    others = files.join(gone.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti").select(
        schemas.FILES.names
    )
    marked = ledger.tombstones(gone, run_id=job.run_id, now=datetime.now(UTC))
    rows = others.unionByName(marked)
    tables.replace(rows, job.table(FILES), schemas.FILES, lease=job.lease)


def _read(job: Job, name: str, schema: StructType | None = None) -> DataFrame:
    """A table of this output; empty where there is none."""
    schema = schema or _DATED.get(name, schemas.VERDICTS)
    if not tables.exists(job.spark, job.table(name)):
        return job.spark.createDataFrame([], schema)
    return tables.read(job.spark, job.table(name), schema)


def _verdicts(job: Job, gone: DataFrame) -> DataFrame:
    return _read(job, VERDICTS).join(gone.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")


def _going(table: DataFrame, before: date) -> Going:
    old = table.where(F.col(names.CAPTURE_DATE) < F.lit(before)).groupBy(names.CAPTURE_DATE).count()
    found = old.orderBy(names.CAPTURE_DATE).collect()
    return Going(sum(row["count"] for row in found), tuple(row[0] for row in found))


def _refuse_trained(job: Job, days: tuple[date, ...], before: date) -> None:
    """Keep the days that a model in use was trained on: what its promise rests on."""
    if not days:
        return
    for called, manifest in _in_use(job):
        first, last = (date.fromisoformat(manifest.training_window[n]) for n in ("from", "until"))
        trained = [day for day in days if first <= day <= last]
        if trained:
            raise InputError(
                f"prune --before {before} would take {len(trained)} days that {called} "
                f"{manifest.model_version} was trained on",
                expected=f"images from {first} to {last} stay as long as it is in use",
                got=f"{trained[0]} to {trained[-1]}",
                hint=f"--before {first} at the latest, train on newer days first, or --force",
            )


def _in_use(job: Job) -> Iterator[tuple[str, Manifest]]:
    """The bundle of this output, the champion, and the version that a rollback would bring back."""
    if tables.exists(job.spark, job.table(BUNDLE)):
        yield "the model", read_bundle(job).manifest
    past = approval.history(job, job.config.registry.model)
    if not past:
        return
    opened = registry.open_registry(job.config)
    served = {"the champion": past[-1]}
    with contextlib.suppress(ApprovalError):
        served["the champion of before"] = approval.before(past)
    for called, each in served.items():
        yield called, opened.read(opened.require(each.to_version), each.bundle_sha256).manifest


def _say(job: Job, going: Mapping[str, Going], before: date) -> None:
    lines = [f"prune --before {before} would remove from {job.config.paths.out}"]
    lines += [f"  {name:9} {what}" for name, what in going.items() if what.rows]
    if len(lines) == 1:
        lines = [f"nothing in {job.config.paths.out} was captured before {before}"]
    sys.stdout.write("\n".join(lines) + "\n")
