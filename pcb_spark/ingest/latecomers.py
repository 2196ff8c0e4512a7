"""What ingest does once files are taken in: whatever came late, verdicts, and rejects that hold."""

from __future__ import annotations

import contextlib
import logging
import operator
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest import image_files, ledger, revisions, verdicts
from pcb_spark.ingest.notes import STAGE
from pcb_spark.ingest.paths import image_id, relative
from pcb_spark.ingest.readability import Readability
from pcb_spark.ingest.verdict_files import ROW
from pcb_spark.ingest.verdicts import KEY
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FILES, REJECTS, SIDECARS, VERDICTS
from pcb_spark.lake.run import Counts
from pcb_spark.lake.tables import computed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.ingest.intake import Intake

log = logging.getLogger(__name__)

#: Of the ledger, before they become one.
_MANY_FILES = 100
_SAME_REJECT = (
    names.SOURCE_URI,
    names.KIND,
    names.REASON,
    names.DETAIL,
    names.LENGTH,
    names.CAPTURE_DATE,
)


def attach(intake: Intake) -> Counts:
    """Attach what came late, bring verdicts and rejects up to date; the books of verdicts."""
    with intake.lock, contextlib.ExitStack() as caches:
        rows = computed(_without_pruned(intake), caches)
        known = computed(_known(intake, rows), caches)
        known.count()  # before a partition that it reads is exchanged
        resolved = computed(verdicts.resolve(rows, known), caches)
        told = computed(verdicts.traceability(resolved), caches)
        images = _with_news(intake, told, caches)
        resolved_images, reference_rejects = intake.drop.resolve(images, intake.references)
        asking = computed(resolved_images, caches)
        asking.count()
        if _revise(intake, asking, caches):
            known = computed(_known(intake, rows), caches)
        verdict_rejects, counts = _judge(intake, resolved, known, caches)
        missing = revisions.reference_rejects(asking, intake.references, root=intake.drop.root)
        found = [verdict_rejects, missing, *reference_rejects]
        _replace_rejects(intake, reduce(lambda a, b: a.unionByName(b), found), caches)
        _compact(intake)
        return counts


def _without_pruned(intake: Intake) -> DataFrame:
    """What the drop tells, but of images that retention removed."""
    gone = ledger.pruned(intake.notes.read(FILES, schemas.FILES)).select(
        F.col(names.IMAGE_ID).alias("gone")
    )
    told = intake.located()
    return told.join(gone, image_id(F.col(KEY)) == F.col("gone"), "left_anti")


def _known(intake: Intake, told: DataFrame) -> DataFrame:
    """Every image that came: ``relative_path``, ids, day, place, and ``reason`` if rejected.

    A path is what the verdict files call it, so that a drop may move; else what its URI says.
    """
    columns = (
        names.IMAGE_ID,
        names.SOURCE_URI,
        names.BOARD_ID,
        names.POSITION,
        names.CAPTURE_DATE,
        names.REASON,
    )
    images = intake.store.read().withColumn(names.REASON, F.lit(None).cast("string"))
    rejected = (
        intake.notes.ledger()
        .where(~F.col(names.OUTCOME).isin(image_files.OK, names.PRUNED))
        .select(
            names.IMAGE_ID,
            names.SOURCE_URI,
            names.CAPTURE_DATE,
            F.col(names.OUTCOME).alias(names.REASON),
        )
    )
    rejected = rejected.join(images, names.IMAGE_ID, "left_anti")
    nowhere = {name: F.lit(None).cast("string") for name in (names.BOARD_ID, names.POSITION)}
    came = images.select(*columns).unionByName(rejected.withColumns(nowhere).select(*columns))
    named = told.where(F.col(KEY).isNotNull()).select(F.col(KEY).alias("told")).distinct()
    named = named.withColumn(names.IMAGE_ID, image_id(F.col("told")))
    path = F.coalesce("told", relative(intake.drop.root, names.SOURCE_URI))
    return came.join(named, names.IMAGE_ID, "left").withColumn(KEY, path)


def _with_news(intake: Intake, told: DataFrame, caches: contextlib.ExitStack) -> DataFrame:
    news = revisions.with_news(
        intake.store.read(), told, root=intake.drop.root,
        timezone=intake.drop.settings.timezone, latest=intake.drop.latest(),
    )  # fmt: skip
    return computed(news, caches)


def _revise(intake: Intake, asking: DataFrame, caches: contextlib.ExitStack) -> bool:
    """Bring images up to date with what came after them; say whether there was any."""
    changes = revisions.revisions(asking, intake.references, root=intake.drop.root)
    changes = computed(changes, caches)
    days = {
        day
        for row in changes.select(revisions.HAD_DATE, names.CAPTURE_DATE).distinct().collect()
        for day in row
    }
    if not days:
        return False
    log.info("ingest: %d images get what came after them", changes.count())
    rows = intake.store.read(days).join(changes.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")
    revised = revisions.revise(rows, changes, intake.references, root=intake.drop.root)
    intake.store.revise(revised.dropDuplicates([names.IMAGE_ID]), changes, days)
    return True


def _judge(
    intake: Intake, resolved: DataFrame, known: DataFrame, caches: contextlib.ExitStack
) -> tuple[DataFrame, Counts]:
    """Write the verdicts that count; the others are the answer."""
    paths = known.select(names.IMAGE_ID, KEY)
    had = intake.notes.read(VERDICTS, schemas.VERDICTS)
    rows = computed(verdicts.with_earlier(resolved, had.join(paths, names.IMAGE_ID)), caches)
    root, latest = intake.drop.root, intake.drop.latest()
    settled, rejected = verdicts.effective(rows, known, root=root, latest=latest)
    kept = computed(settled.select(*schemas.VERDICTS.names, ROW), caches)
    table = kept.select(schemas.VERDICTS.names)
    uri = intake.run.table(VERDICTS)
    if not tables.exists(intake.run.spark, uri) or _differ(had, table):
        tables.replace(table, uri, schemas.VERDICTS, lease=intake.run.lease)
    counted = rejected.groupBy(names.REASON).count().collect()
    reasons = {row[names.REASON]: row["count"] for row in counted}
    rows_in, carried = rows.count(), kept.where(F.col(ROW) < 0).count()
    intake.verdicts_read = Readability(
        kind=names.KIND_VERDICT, rows=rows_in - carried, reasons=reasons
    )
    counts = Counts(
        rows_in=rows_in, rows_out=intake.notes.read(VERDICTS, schemas.VERDICTS).count(),
        rows_rejected=sum(reasons.values()),
    )  # fmt: skip
    return rejected, counts


def _replace_rejects(intake: Intake, derived: DataFrame, caches: contextlib.ExitStack) -> None:
    """Bring the rejects up to date: of files those that still hold, of all else ``derived``.

    Rows that stay keep the run that saw them first.
    """
    had = computed(intake.notes.read(REJECTS, schemas.REJECTS), caches)
    own, image = F.col(names.STAGE) == STAGE, F.col(names.KIND) == names.KIND_IMAGE
    first = (
        had.where(own & ~image)
        .groupBy(*_SAME_REJECT)
        .agg(
            F.min(names.SEEN_AT).alias("first_at"),
            F.min_by(names.RUN_ID, names.SEEN_AT).alias("first_run"),
        )
    )
    marked = intake.notes.marked(derived).alias("new")
    same = [F.col(f"new.{n}").eqNullSafe(F.col(f"first.{n}")) for n in _SAME_REJECT]
    dated = marked.join(first.alias("first"), reduce(operator.and_, same), "left").select(
        *(F.col(f"new.{n}") for n in (*_SAME_REJECT, names.STAGE)),
        F.coalesce("first_at", names.SEEN_AT).alias(names.SEEN_AT),
        F.coalesce("first_run", f"new.{names.RUN_ID}").alias(names.RUN_ID),
    )
    now = intake.notes.ledger().select(names.SOURCE_URI, names.OUTCOME)
    holds = F.col(names.OUTCOME).isNull() | (F.col(names.OUTCOME) == F.col(names.REASON))
    files = had.where(own & image).join(now, names.SOURCE_URI, "left").where(holds)
    kept = had.where(~own).unionByName(
        files.dropDuplicates([names.SOURCE_URI, names.REASON]).drop(names.OUTCOME)
    )
    rejects = computed(kept.unionByName(dated), caches)
    uri = intake.run.table(REJECTS)
    if not tables.exists(intake.run.spark, uri) or _differ(had, rejects):
        tables.replace(rejects.coalesce(1), uri, schemas.REJECTS, lease=intake.run.lease)


def _compact(intake: Intake) -> None:
    """Write the ledger and the sidecars as one file once they are many."""
    for name, schema in ((FILES, schemas.FILES), (SIDECARS, schemas.SIDECARS)):
        rows = intake.notes.read(name, schema)
        if len(rows.inputFiles()) > _MANY_FILES:
            few, uri = rows.distinct().coalesce(1), intake.run.table(name)
            tables.replace(few, uri, schema, lease=intake.run.lease)


def _differ(one: DataFrame, other: DataFrame) -> bool:
    """Whether two tables hold different rows, whenever and by whichever run they were noted."""
    compared = [name for name in one.columns if name not in (names.SEEN_AT, names.RUN_ID)]
    left, right = one.select(compared), other.select(compared)
    return not (left.exceptAll(right).isEmpty() and right.exceptAll(left).isEmpty())
