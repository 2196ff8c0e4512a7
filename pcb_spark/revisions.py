"""What arrives after its image: references, and what verdict files and sidecars tell of it."""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark import schemas as s
from pcb_spark.ingest import TRAITS, attach_references
from pcb_spark.sources import capture_date, image_id, relative, source_uri
from pcb_spark.verdicts import KEY, REFERENCE_KEY, reject_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NEWS, NAMED, HAD_DATE = "news", "named", "had_date"


def with_news(images: DataFrame, told: DataFrame, *, root: str, timezone: str) -> DataFrame:
    """Every image of the table as it should be by now, without its pictures.

    Parameters
    ----------
    images : the table.
    told : answer of ``verdicts.traceability``.

    Returns
    -------
    ``relative_path``, ``image_id``, traceability and ``capture_date`` as they should be, ``news``
    (whether they are something else), the date of the row as ``had_date``, ``reference_path`` where
    it is told, ``named`` (whether it is), ``reference_uri`` of the row, size, and ``reason``, null.
    """
    named = told.withColumn(s.IMAGE_ID, image_id(F.col(KEY))).withColumnsRenamed(
        {name: f"told_{name}" for name in (*TRAITS, KEY)}
    )
    stored = images.select(*s.IMAGES.names).drop(s.IMAGE, s.REFERENCE)
    joined = stored.join(named, s.IMAGE_ID, "left")
    told_more = (
        F.col(f"told_{n}").isNotNull() & ~F.col(f"told_{n}").eqNullSafe(F.col(n)) for n in TRAITS
    )
    told_at = F.coalesce(f"told_{s.CAPTURED_AT}", s.CAPTURED_AT)
    return joined.select(
        F.coalesce(f"told_{KEY}", relative(root, s.SOURCE_URI)).alias(KEY),
        s.IMAGE_ID,
        *(F.coalesce(f"told_{name}", name).alias(name) for name in TRAITS),
        reduce(operator.or_, told_more).alias(NEWS),
        F.col(s.CAPTURE_DATE).alias(HAD_DATE),
        capture_date(told_at, timezone).alias(s.CAPTURE_DATE),
        REFERENCE_KEY,
        F.col(REFERENCE_KEY).isNotNull().alias(NAMED),
        s.REFERENCE_URI,
        s.WIDTH,
        s.HEIGHT,
        F.lit(None).cast("string").alias(s.REASON),
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
    usable = references.where(F.col(s.REASON).isNull()).select(
        F.col(KEY).alias(REFERENCE_KEY), F.lit(True).alias("usable")
    )
    had, uri = F.col(s.REFERENCE_URI), source_uri(root, F.col(REFERENCE_KEY))
    late = F.col("usable") & (had.isNull() | (F.col(NAMED) & (had != uri)))
    joined = images.join(usable, REFERENCE_KEY, "left").withColumn(
        "late", F.coalesce(late, F.lit(False))
    )
    return joined.where(F.col(NEWS) | F.col("late")).select(
        s.IMAGE_ID, *TRAITS, s.CAPTURE_DATE, HAD_DATE,
        F.when(F.col("late"), F.col(REFERENCE_KEY)).alias(REFERENCE_KEY),
    )  # fmt: skip


def revise(images: DataFrame, changes: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """The rows of ``images`` as ``changes``, answer of ``revisions``, has them."""
    news = changes.drop(HAD_DATE).withColumnsRenamed(
        {name: f"told_{name}" for name in (*TRAITS, s.CAPTURE_DATE)}
    )
    joined = images.withColumnsRenamed(
        {name: f"had_{name}" for name in (s.REFERENCE, s.REFERENCE_URI, s.REFERENCE_SHA256)}
    ).join(news, s.IMAGE_ID, "left")
    changed = joined.withColumns({n: F.coalesce(f"told_{n}", n) for n in (*TRAITS, s.CAPTURE_DATE)})
    attached = attach_references(changed, references, root)
    return attached.withColumns(
        {
            name: F.coalesce(name, f"had_{name}")
            for name in (s.REFERENCE, s.REFERENCE_URI, s.REFERENCE_SHA256)
        }
    ).select(s.IMAGES.names)


def reference_rejects(images: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """One row a reference that an image asks for and that is missing or can't be used.

    Parameters
    ----------
    images : ``reference_path`` and ``capture_date``.
    """
    wanted = images.where(F.col(REFERENCE_KEY).isNotNull()).groupBy(REFERENCE_KEY)
    first_day = wanted.agg(F.min(s.CAPTURE_DATE).alias(s.CAPTURE_DATE))
    found = references.select(
        F.col(KEY).alias(REFERENCE_KEY), s.LENGTH, s.REASON, s.DETAIL, F.lit(1).alias("found")
    )
    faulty = first_day.join(found, REFERENCE_KEY, "left").where(
        "found is null or reason is not null"
    )
    missing = F.col("found").isNull()
    detail = F.concat_ws(": ", s.REASON, s.DETAIL)
    return faulty.select(
        source_uri(root, F.col(REFERENCE_KEY)).alias(s.SOURCE_URI),
        F.when(missing, s.REFERENCE_MISSING).otherwise(s.REFERENCE_UNUSABLE).alias(s.REASON),
        F.when(missing, "no such file in the drop").otherwise(detail).alias(s.DETAIL),
        s.LENGTH,
        s.CAPTURE_DATE,
    ).select(*reject_columns(s.KIND_REFERENCE))
