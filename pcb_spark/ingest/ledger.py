"""The ledger ``files``: what became of each version of each file, and which are not to come again.

A version is a file's length and time of modification. Rows are added and never changed, but for
those of images that retention removed: of each of these one row stays, whose outcome is ``pruned``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest.paths import image_id
from pcb_spark.ingest.verdicts import KEY
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Faults that another look may find gone, without the file having changed.
_RETRIED = (
    "empty_file", "truncated_image", names.UNREADABLE_FILE, names.UNUSABLE_REUPLOAD,
    names.CAPTURE_TIME_MISSING, names.CAPTURE_TIME_IN_FUTURE, names.CAPTURE_TIME_UNREADABLE,
)  # fmt: skip
#: A running service tries them again after this.
_RETRY_AFTER = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1)


def newest(files: DataFrame) -> DataFrame:
    """What became of the newest version of every file."""
    order = Window.partitionBy(names.IMAGE_ID).orderBy(
        F.desc(names.SEEN_AT), F.desc(names.MODIFIED_AT)
    )
    return files.withColumn("place", F.row_number().over(order)).where("place = 1").drop("place")


def done(files: DataFrame, *, run_id: str, now: datetime) -> DataFrame:
    """The newest versions that this run has nothing left to do with."""
    again = F.col(names.OUTCOME).isin(*_RETRIED) & (
        (F.col(names.RUN_ID) != run_id) | (F.col(names.SEEN_AT) < F.lit(now - _RETRY_AFTER))
    )
    return newest(files).where(~again).select(names.IMAGE_ID, names.LENGTH, names.MODIFIED_AT)


def waiting(
    listed: DataFrame, files: DataFrame, sidecars: DataFrame, *, run_id: str, now: datetime
) -> DataFrame:
    """The ``uri`` of listed files whose present version isn't known yet, or is to be tried again.

    Parameters
    ----------
    listed : ``relative_path``, ``uri``, ``length`` and ``modified_at``.
    files, sidecars : the tables.
    """
    known = done(files, run_id=run_id, now=now)
    kept = sidecars.select(F.col(names.SOURCE_URI).alias("uri"))
    named = listed.withColumn(names.IMAGE_ID, image_id(F.col(KEY)))
    news = named.join(known, [names.IMAGE_ID, names.LENGTH, names.MODIFIED_AT], "left_anti")
    return news.join(kept, "uri", "left_anti").select("uri")


def pruned(files: DataFrame) -> DataFrame:
    """``image_id`` and ``content_sha256`` of what retention removed and nobody sent again."""
    # Every micro-batch asks: sort the rows of these images only.
    ever = files.where(F.col(names.OUTCOME) == names.PRUNED).select(names.IMAGE_ID).distinct()
    rows = newest(files.join(ever, names.IMAGE_ID, "left_semi"))
    return rows.where(F.col(names.OUTCOME) == names.PRUNED).select(
        names.IMAGE_ID, names.CONTENT_SHA256
    )


def going(files: DataFrame, images: DataFrame, before: object) -> DataFrame:
    """The ledger's rows, one an image, of what has to go with the days before ``before``.

    Of an image the table's day counts, which a manifest may have corrected since; of a reject the
    ledger's own. An image that the ledger doesn't know gets a row without length and time.
    """
    old = F.col(names.CAPTURE_DATE) < F.lit(before)
    known = newest(files)
    stored = images.where(old).select(
        names.IMAGE_ID, names.SOURCE_URI, F.lit(0).cast("long").alias(names.LENGTH),
        F.lit(_BEGINNING).alias(names.MODIFIED_AT), names.CONTENT_SHA256, names.CAPTURE_DATE,
    )  # fmt: skip
    rejected = known.where(old & (F.col(names.OUTCOME) != names.PRUNED)).join(
        images.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti"
    )
    noted = known.join(stored.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")
    unnoted = stored.join(known.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    columns = stored.columns
    return noted.select(columns).unionByName(rejected.select(columns)).unionByName(unnoted)


def tombstones(gone: DataFrame, *, run_id: str, now: datetime) -> DataFrame:
    """Rows of ``files`` that say of ``going`` that it was pruned."""
    return gone.withColumns({
        names.OUTCOME: F.lit(names.PRUNED), names.SEEN_AT: F.lit(now), names.RUN_ID: F.lit(run_id),
    }).select(schemas.FILES.names)  # fmt: skip
