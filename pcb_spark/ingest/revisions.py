"""What arrives after its image: references, and what verdict files and sidecars tell of it."""

from __future__ import annotations

import operator
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest.image_files import TRAITS, attach_references
from pcb_spark.ingest.paths import capture_date, image_id, relative, source_uri
from pcb_spark.ingest.verdicts import KEY, REFERENCE_KEY, reject_columns
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NEWS, NAMED, HAD_DATE = "news", "named", "had_date"


def with_news(
    images: DataFrame, told: DataFrame, *, root: str, timezone: str, latest: datetime | None = None
) -> DataFrame:
    """Every image of the table as it should be by now, without its pictures.

    Parameters
    ----------
    images : the table.
    told : answer of ``verdicts.traceability``.
    latest : a time after it lies in the future, and is no news.

    Returns
    -------
    ``relative_path``, ``image_id``, traceability and ``capture_date`` as they should be, ``news``
    (whether they are something else), the date of the row as ``had_date``, ``reference_path`` where
    it is told, ``named`` (whether it is), ``reference_uri`` of the row, size, and ``reason``, null.
    """
    if latest is not None:
        possible = F.when(F.col(names.CAPTURED_AT) <= F.lit(latest), F.col(names.CAPTURED_AT))
        told = told.withColumn(names.CAPTURED_AT, possible)
    named = told.withColumn(names.IMAGE_ID, image_id(F.col(KEY))).withColumnsRenamed(
        {name: f"told_{name}" for name in (*TRAITS, KEY)}
    )
    stored = images.select(*schemas.IMAGES.names).drop(names.IMAGE, names.REFERENCE)
    joined = stored.join(named, names.IMAGE_ID, "left")
    told_more = (
        F.col(f"told_{n}").isNotNull() & ~F.col(f"told_{n}").eqNullSafe(F.col(n)) for n in TRAITS
    )
    told_at = F.coalesce(f"told_{names.CAPTURED_AT}", names.CAPTURED_AT)
    return joined.select(
        F.coalesce(f"told_{KEY}", relative(root, names.SOURCE_URI)).alias(KEY),
        names.IMAGE_ID,
        *(F.coalesce(f"told_{name}", name).alias(name) for name in TRAITS),
        reduce(operator.or_, told_more).alias(NEWS),
        F.col(names.CAPTURE_DATE).alias(HAD_DATE),
        capture_date(told_at, timezone).alias(names.CAPTURE_DATE),
        REFERENCE_KEY,
        F.col(REFERENCE_KEY).isNotNull().alias(NAMED),
        names.REFERENCE_URI,
        names.WIDTH,
        names.HEIGHT,
        F.lit(None).cast("string").alias(names.REASON),
    )


def revisions(images: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """Find images of which more is known than their rows have.

    A reference that an image has is replaced only by one that is named for this very image.

    Parameters
    ----------
    images : answer of ``with_news``; ``reference_path`` may be filled in where it was null.
    references : answer of ``inspect_files``.

    Returns
    -------
    ``image_id``, traceability, capture date and ``had_date``; ``reference_path`` where a reference
    is to be attached.
    """
    usable = references.where(F.col(names.REASON).isNull()).select(
        F.col(KEY).alias(REFERENCE_KEY), F.lit(True).alias("usable")
    )
    had, uri = F.col(names.REFERENCE_URI), source_uri(root, F.col(REFERENCE_KEY))
    late = F.col("usable") & (had.isNull() | (F.col(NAMED) & (had != uri)))
    joined = images.join(usable, REFERENCE_KEY, "left").withColumn(
        "late", F.coalesce(late, F.lit(False))
    )
    return joined.where(F.col(NEWS) | F.col("late")).select(
        names.IMAGE_ID, *TRAITS, names.CAPTURE_DATE, HAD_DATE,
        F.when(F.col("late"), F.col(REFERENCE_KEY)).alias(REFERENCE_KEY),
    )  # fmt: skip


def revise(images: DataFrame, changes: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """The rows of ``images`` as ``changes``, answer of ``revisions``, has them."""
    news = changes.drop(HAD_DATE).withColumnsRenamed(
        {name: f"told_{name}" for name in (*TRAITS, names.CAPTURE_DATE)}
    )
    joined = images.withColumnsRenamed(
        {
            name: f"had_{name}"
            for name in (names.REFERENCE, names.REFERENCE_URI, names.REFERENCE_SHA256)
        }
    ).join(news, names.IMAGE_ID, "left")
    changed = joined.withColumns(
        {n: F.coalesce(f"told_{n}", n) for n in (*TRAITS, names.CAPTURE_DATE)}
    )
    attached = attach_references(changed, references, root)
    return attached.withColumns(
        {
            name: F.coalesce(name, f"had_{name}")
            for name in (names.REFERENCE, names.REFERENCE_URI, names.REFERENCE_SHA256)
        }
    ).select(schemas.IMAGES.names)


def reference_rejects(images: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """One row a reference that an image asks for and that is missing or can't be used.

    Parameters
    ----------
    images : ``reference_path`` and ``capture_date``.
    """
    wanted = images.where(F.col(REFERENCE_KEY).isNotNull()).groupBy(REFERENCE_KEY)
    first_day = wanted.agg(F.min(names.CAPTURE_DATE).alias(names.CAPTURE_DATE))
    found = references.select(
        F.col(KEY).alias(REFERENCE_KEY),
        names.LENGTH,
        names.REASON,
        names.DETAIL,
        F.lit(1).alias("found"),
    )
    faulty = first_day.join(found, REFERENCE_KEY, "left").where(
        "found is null or reason is not null"
    )
    missing = F.col("found").isNull()
    detail = F.concat_ws(": ", names.REASON, names.DETAIL)
    return faulty.select(
        source_uri(root, F.col(REFERENCE_KEY)).alias(names.SOURCE_URI),
        F.when(missing, names.REFERENCE_MISSING)
        .otherwise(names.REFERENCE_UNUSABLE)
        .alias(names.REASON),
        F.when(missing, "no such file in the drop").otherwise(detail).alias(names.DETAIL),
        names.LENGTH,
        names.CAPTURE_DATE,
    ).select(*reject_columns(names.KIND_REFERENCE))
