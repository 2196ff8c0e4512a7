"""What ingest does once files are taken in: whatever came late, verdicts, and rejects that hold."""

from __future__ import annotations

import contextlib
import logging
import operator
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark import ingest, ledger, revisions, tables, verdicts
from pcb_spark import schemas as s
from pcb_spark.pipeline.drop import cached
from pcb_spark.pipeline.intake import STAGE
from pcb_spark.pipeline.job import FILES, REJECTS, SIDECARS, VERDICTS, Counts
from pcb_spark.sources import image_id, relative
from pcb_spark.verdicts import KEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.pipeline.intake import Intake

log = logging.getLogger(__name__)

#: Of the ledger, before they become one.
_MANY_FILES = 100
_SAME_REJECT = (s.SOURCE_URI, s.KIND, s.REASON, s.DETAIL, s.LENGTH, s.CAPTURE_DATE)


def settle(intake: Intake) -> Counts:
    """Attach what came late, bring verdicts and rejects up to date; the books of verdicts."""
    with intake.lock, contextlib.ExitStack() as caches:
        rows = cached(_without_pruned(intake), caches)
        known = cached(_known(intake, rows), caches)
        known.count()  # before a partition that it reads is exchanged
        resolved = cached(verdicts.resolve(rows, known), caches)
        told = cached(verdicts.traceability(resolved), caches)
        images = _with_news(intake, told, caches)
        resolved_images, reference_rejects = intake.drop.resolve(images, intake.references)
        asking = cached(resolved_images, caches)
        asking.count()
        if _revise(intake, asking, caches):
            known = cached(_known(intake, rows), caches)
        verdict_rejects, counts = _judge(intake, resolved, known, caches)
        missing = revisions.reference_rejects(asking, intake.references, root=intake.drop.root)
        found = [verdict_rejects, missing, *reference_rejects]
        _replace_rejects(intake, reduce(lambda a, b: a.unionByName(b), found), caches)
        _compact(intake)
        return counts


def _without_pruned(intake: Intake) -> DataFrame:
    """What the drop tells, but of images that retention removed."""
    gone = ledger.pruned(intake.read(FILES, s.FILES)).select(F.col(s.IMAGE_ID).alias("gone"))
    told = intake.told()
    return told.join(gone, image_id(F.col(KEY)) == F.col("gone"), "left_anti")


def _known(intake: Intake, told: DataFrame) -> DataFrame:
    """Every image that came: ``relative_path``, ids, day, place, and ``reason`` if rejected.

    A path is what the verdict files call it, so that a drop may move; else what its URI says.
    """
    columns = (s.IMAGE_ID, s.SOURCE_URI, s.BOARD_ID, s.POSITION, s.CAPTURE_DATE, s.REASON)
    images = intake.store.read().withColumn(s.REASON, F.lit(None).cast("string"))
    rejected = (
        intake.ledger()
        .where(~F.col(s.OUTCOME).isin(ingest.OK, s.PRUNED))
        .select(s.IMAGE_ID, s.SOURCE_URI, s.CAPTURE_DATE, F.col(s.OUTCOME).alias(s.REASON))
    )
    rejected = rejected.join(images, s.IMAGE_ID, "left_anti")
    nowhere = {name: F.lit(None).cast("string") for name in (s.BOARD_ID, s.POSITION)}
    came = images.select(*columns).unionByName(rejected.withColumns(nowhere).select(*columns))
    named = told.where(F.col(KEY).isNotNull()).select(F.col(KEY).alias("told")).distinct()
    named = named.withColumn(s.IMAGE_ID, image_id(F.col("told")))
    path = F.coalesce("told", relative(intake.drop.root, s.SOURCE_URI))
    return came.join(named, s.IMAGE_ID, "left").withColumn(KEY, path)


def _with_news(intake: Intake, told: DataFrame, caches: contextlib.ExitStack) -> DataFrame:
    zone = intake.job.config.ingest.timezone
    news = revisions.with_news(intake.store.read(), told, root=intake.drop.root, timezone=zone)
    return cached(news, caches)


def _revise(intake: Intake, asking: DataFrame, caches: contextlib.ExitStack) -> bool:
    """Bring images up to date with what came after them; say whether there was any."""
    changes = revisions.revisions(asking, intake.references, root=intake.drop.root)
    changes = cached(changes, caches)
    days = {
        day
        for row in changes.select(revisions.HAD_DATE, s.CAPTURE_DATE).distinct().collect()
        for day in row
    }
    if not days:
        return False
    log.info("ingest: %d images get what came after them", changes.count())
    rows = intake.store.read(days).join(changes.select(s.IMAGE_ID), s.IMAGE_ID, "left_semi")
    revised = revisions.revise(rows, changes, intake.references, root=intake.drop.root)
    intake.store.revise(revised.dropDuplicates([s.IMAGE_ID]), changes, days)
    return True


def _judge(
    intake: Intake, resolved: DataFrame, known: DataFrame, caches: contextlib.ExitStack
) -> tuple[DataFrame, Counts]:
    """Write the verdicts that count; the others are the answer."""
    paths = known.select(s.IMAGE_ID, KEY)
    had = intake.read(VERDICTS, s.VERDICTS)
    rows = cached(verdicts.with_earlier(resolved, had.join(paths, s.IMAGE_ID)), caches)
    settled, rejected = verdicts.settle(rows, known, root=intake.drop.root)
    table = cached(settled.select(s.VERDICTS.names), caches)
    uri = intake.job.table(VERDICTS)
    if not tables.exists(intake.job.spark, uri) or _differ(had, table):
        tables.replace(table, uri, s.VERDICTS)
    counts = Counts(
        rows_in=rows.count(), rows_out=intake.read(VERDICTS, s.VERDICTS).count(),
        rows_rejected=rejected.count(),
    )  # fmt: skip
    return rejected, counts


def _replace_rejects(intake: Intake, derived: DataFrame, caches: contextlib.ExitStack) -> None:
    """Bring the rejects up to date: of files those that still hold, of all else ``derived``.

    Rows that stay keep the run that saw them first.
    """
    had = cached(intake.read(REJECTS, s.REJECTS), caches)
    own, image = F.col(s.STAGE) == STAGE, F.col(s.KIND) == s.KIND_IMAGE
    first = (
        had.where(own & ~image)
        .groupBy(*_SAME_REJECT)
        .agg(F.min(s.SEEN_AT).alias("first_at"), F.min_by(s.RUN_ID, s.SEEN_AT).alias("first_run"))
    )
    marked = intake.marked(derived).alias("new")
    same = [F.col(f"new.{n}").eqNullSafe(F.col(f"first.{n}")) for n in _SAME_REJECT]
    dated = marked.join(first.alias("first"), reduce(operator.and_, same), "left").select(
        *(F.col(f"new.{n}") for n in (*_SAME_REJECT, s.STAGE)),
        F.coalesce("first_at", s.SEEN_AT).alias(s.SEEN_AT),
        F.coalesce("first_run", f"new.{s.RUN_ID}").alias(s.RUN_ID),
    )
    now = intake.ledger().select(s.SOURCE_URI, s.OUTCOME)
    holds = F.col(s.OUTCOME).isNull() | (F.col(s.OUTCOME) == F.col(s.REASON))
    files = had.where(own & image).join(now, s.SOURCE_URI, "left").where(holds)
    kept = had.where(~own).unionByName(
        files.dropDuplicates([s.SOURCE_URI, s.REASON]).drop(s.OUTCOME)
    )
    rejects = cached(kept.unionByName(dated), caches)
    uri = intake.job.table(REJECTS)
    if not tables.exists(intake.job.spark, uri) or _differ(had, rejects):
        tables.replace(rejects.coalesce(1), uri, s.REJECTS)


def _compact(intake: Intake) -> None:
    """Write the ledger and the sidecars as one file once they are many."""
    for name, schema in ((FILES, s.FILES), (SIDECARS, s.SIDECARS)):
        rows = intake.read(name, schema)
        if len(rows.inputFiles()) > _MANY_FILES:
            tables.replace(rows.distinct().coalesce(1), intake.job.table(name), schema)


def _differ(one: DataFrame, other: DataFrame) -> bool:
    """Whether two tables hold different rows, whenever and by whichever run they were noted."""
    names = [name for name in one.columns if name not in (s.SEEN_AT, s.RUN_ID)]
    left, right = one.select(names), other.select(names)
    return not (left.exceptAll(right).isEmpty() and right.exceptAll(left).isEmpty())
