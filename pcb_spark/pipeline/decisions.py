"""The table ``decisions``: what nights have published, to which rows are only added.

An image that has a decision there, of the file that it is now, is decided.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import DECISIONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.lake.run import Run
    from pcb_spark.pipeline.registry import Version

_PUBLISHED_AT = "published_at"
_NUMBER = "_number"
#: What makes a decision another one than that published before.
_SAID = (
    names.CONTENT_SHA256, names.PROBABILITY, names.THRESHOLD, names.DECISION, names.REVIEW,
    names.REVIEW_PROBABILITY, names.BUNDLE_SHA256,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How many decisions were published, how many images had one, and another one than now."""

    published: int
    decided_before: int
    differ: int


def read(run: Run) -> DataFrame:
    """The table; empty where no night has published anything."""
    if not tables.exists(run.spark, run.table(DECISIONS)):
        return run.spark.createDataFrame([], schemas.DECISIONS)
    return tables.read(run.spark, run.table(DECISIONS), schemas.DECISIONS)


def undecided(run: Run, images: DataFrame) -> DataFrame:
    """``image_id`` and ``capture_date`` of the images that no night has decided as they are."""
    # Pictures stay out of this join, which may be one of years.
    keys = (names.IMAGE_ID, names.CONTENT_SHA256)
    found = images.select(*keys, names.CAPTURE_DATE).join(
        read(run).select(*keys), [*keys], "left_anti"
    )
    return found.select(names.IMAGE_ID, names.CAPTURE_DATE)


def last_run(run: Run) -> str | None:
    """The run that published last; None where none has."""
    (found,) = read(run).agg(F.max_by(names.RUN_ID, _PUBLISHED_AT)).first() or (None,)
    return found


def publish(
    run: Run, scores: DataFrame, images: DataFrame, version: Version, dates: Sequence[date]
) -> Differences:
    """Add the decisions of ``scores`` that aren't there yet as they are now.

    Parameters
    ----------
    scores : rows of ``scores``, of these dates.
    images : the same images.
    """
    content = images.select(names.IMAGE_ID, names.CONTENT_SHA256)
    rows = scores.join(content, names.IMAGE_ID).withColumns({
        names.REGISTRY_VERSION: F.lit(version.number),
        names.BUNDLE_SHA256: F.lit(version.bundle_sha256),
        _PUBLISHED_AT: F.col(names.SCORED_AT),
    })  # fmt: skip
    with contextlib.ExitStack() as caches:
        past = read(run).where(F.col(names.CAPTURE_DATE).isin([*dates]))
        before = tables.computed(latest(past), caches)
        same = [rows[name].eqNullSafe(before[name]) for name in (names.IMAGE_ID, *_SAID)]
        new = tables.computed(
            rows.join(before, same, "left_anti").select(schemas.DECISIONS.names), caches
        )
        both = rows.join(before, names.IMAGE_ID)
        changed = (rows[names.DECISION] != before[names.DECISION]).cast("int")
        again, differ = both.agg(F.count("*"), F.coalesce(F.sum(changed), F.lit(0))).first() or (
            0,
            0,
        )
        published = new.count()
        if published:
            tables.append(new, run.table(DECISIONS), schemas.DECISIONS)
    return Differences(published=published, decided_before=again, differ=differ)


def latest(decisions: DataFrame) -> DataFrame:
    """The last decision of each image."""
    order = Window.partitionBy(names.IMAGE_ID).orderBy(F.desc(_PUBLISHED_AT), F.desc(names.RUN_ID))
    numbered = decisions.withColumn(_NUMBER, F.row_number().over(order))
    return numbered.where(F.col(_NUMBER) == 1).drop(_NUMBER)
