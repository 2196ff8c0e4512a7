"""Files of a camera drop become rows of ``images``, and what can't be used rows of ``rejects``.

Every file and every verdict ends in one table; files whose name begins with ``_`` or ``.`` are
hidden, as for all of Spark's file sources.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import images, names
from pcb_spark.core.errors import ImageError
from pcb_spark.core.layouts import Layout, Traits
from pcb_spark.ingest.paths import capture_date, image_id, relative, source_uri
from pcb_spark.ingest.time_columns import fault_of
from pcb_spark.ingest.verdicts import KEY, REFERENCE_KEY, reject_columns
from pcb_spark.lake import arrow, schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CONTENT: Final = "content"
#: What Spark's binaryFile source reads of a file.
FILES_READ: Final = (
    f"path string, modificationTime timestamp, {names.LENGTH} long, {CONTENT} binary"
)

#: What a file is to the table: not there yet, there as it is, there with other content, no image,
#: removed by retention.
STATE: Final = "state"
NEW: Final = "new"
SAME: Final = "same"
CHANGED: Final = "changed"
BAD: Final = "bad"
PRUNED: Final = names.PRUNED
HAD_DATES: Final = "had_dates"
OK: Final = "ok"

_NO_TIME: Final = "no captured_at in a manifest, sidecar, name or EXIF, no date= folder"
_TIME_FAULT: Final = fault_of(names.CAPTURED_AT)

TRAITS: Final = (
    names.LINE,
    names.LOT,
    names.BOARD_ID,
    names.POSITION,
    names.PART_NUMBER,
    names.CAPTURED_AT,
)
_INSPECTED: Final = t.StructType([
    t.StructField(KEY, t.StringType()),
    t.StructField(names.LENGTH, t.LongType()),
    t.StructField(names.MODIFIED_AT, t.TimestampType()),
    t.StructField(CONTENT, t.BinaryType()),
    t.StructField(names.WIDTH, t.IntegerType()),
    t.StructField(names.HEIGHT, t.IntegerType()),
    t.StructField(names.CONTENT_SHA256, t.StringType()),
    t.StructField(names.REASON, t.StringType()),
    t.StructField(names.DETAIL, t.StringType()),
    *(
        t.StructField(name, t.TimestampType() if name == names.CAPTURED_AT else t.StringType())
        for name in TRAITS
    ),
    t.StructField(_TIME_FAULT, t.StringType()),
])  # fmt: skip


def inspect_files(
    files: DataFrame,
    *,
    root: str,
    max_pixels: int,
    bit_depth: int = images.FULL_DEPTH,
    layout: Layout | None = None,
) -> DataFrame:
    """Open every file of Spark's binaryFile source once.

    Returns
    -------
    ``relative_path`` to ``root``, ``length``, ``modified_at``, ``content``, ``width``, ``height``,
    ``content_sha256``, ``reason`` and ``detail`` where it is no usable image, and what ``layout``
    reads off it, ``captured_at_fault`` where that is a time which can't be read.
    """
    named = files.select(
        relative(root).alias(KEY),
        # As listing.modified_at: Parquet refuses what lies before 1900.
        F.greatest("modificationTime", F.timestamp_seconds(F.lit(0))).alias(names.MODIFIED_AT),
        CONTENT,
    )
    known = layout or Layout()
    look = functools.partial(images.inspect, max_pixels=max_pixels, bit_depth=bit_depth)

    def inspect(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        path, content = row[KEY], row[CONTENT]
        described = _inspect(path, content, look, known)
        yield path, len(content), row[names.MODIFIED_AT], content, *described

    return arrow.map_rows(named, inspect, _INSPECTED)


def unopened(
    spark: SparkSession, files: Sequence[tuple[str, int, datetime]], layout: Layout
) -> DataFrame:
    """Describe files that Spark lists but doesn't open, in the form of ``inspect_files``.

    Parameters
    ----------
    files : relative path, length and time of modification.
    """
    rows = []
    for path, length, modified_at in files:
        fault = (names.UNREADABLE_FILE, f"{length} bytes that can't be read")
        if length == 0:
            fault = ("empty_file", "the file has no bytes")
        described = _described(layout.read(path))
        digest = hashlib.sha256(b"").hexdigest()
        rows.append((path, length, modified_at, b"", None, None, digest, *fault, *described))
    return spark.createDataFrame(rows, _INSPECTED)


def describe(
    inspected: DataFrame,
    told: DataFrame,
    *,
    root: str,
    timezone: str = "UTC",
    latest: datetime | None = None,
) -> DataFrame:
    """Add what verdict files, manifests and sidecars tell, and find images without a usable time.

    Parameters
    ----------
    inspected : answer of ``inspect_files``.
    told : answer of ``verdicts.traceability``; it counts before what the file itself tells.
    root : qualified URI of the drop.
    timezone : in which a capture date is a day.
    latest : a time after it lies in the future.
    """
    known = (*TRAITS, _TIME_FAULT)
    named = told.withColumnsRenamed({name: f"told_{name}" for name in known})
    joined = inspected.join(named, KEY, "left")
    told_when = F.coalesce(F.col(f"told_{names.CAPTURED_AT}").cast("string"), f"told_{_TIME_FAULT}")
    own_fault = F.when(told_when.isNull(), F.col(_TIME_FAULT))
    filled = joined.withColumns({n: F.coalesce(f"told_{n}", n) for n in TRAITS}).withColumns({
        names.CAPTURED_AT: F.when(F.col(f"told_{_TIME_FAULT}").isNull(), F.col(names.CAPTURED_AT)),
        _TIME_FAULT: F.coalesce(f"told_{_TIME_FAULT}", own_fault),
    })  # fmt: skip
    moment, unread = F.col(names.CAPTURED_AT), F.col(_TIME_FAULT)
    late = F.lit(False) if latest is None else moment > F.lit(latest)
    fault = (
        F.when(F.col(names.REASON).isNotNull(), F.col(names.REASON))
        .when(unread.isNotNull(), names.CAPTURE_TIME_UNREADABLE)
        .when(moment.isNull(), names.CAPTURE_TIME_MISSING)
        .when(late, names.CAPTURE_TIME_IN_FUTURE)
    )
    when = F.date_format(moment, "yyyy-MM-dd'T'HH:mm:ssX")
    detail = (
        F.when(F.col(names.REASON).isNotNull(), F.col(names.DETAIL))
        .when(unread.isNotNull(), unread)
        .when(moment.isNull(), F.lit(_NO_TIME))
        .when(late, F.concat(F.lit("captured at "), when))
    )
    dated = filled.withColumns({
        names.IMAGE_ID: image_id(F.col(KEY)),
        names.SOURCE_URI: source_uri(root, F.col(KEY)),
        names.CAPTURE_DATE: capture_date(moment, timezone),
        names.DETAIL: detail,
        names.REASON: fault,
    })  # fmt: skip
    return dated.drop(_TIME_FAULT, *(f"told_{name}" for name in known))


def compare(described: DataFrame, existing: DataFrame, pruned: DataFrame) -> DataFrame:
    """Add ``state``: what each file is to the rows that the table has of it.

    Parameters
    ----------
    existing : ``image_id``, ``content_sha256`` and ``capture_date`` of these rows.
    pruned : ``image_id`` and ``content_sha256`` of what is not to come again.
    """
    had = existing.groupBy(names.IMAGE_ID).agg(
        F.collect_set(names.CONTENT_SHA256).alias("had_content"),
        F.collect_set(names.CAPTURE_DATE).alias(HAD_DATES),
    )
    same = (F.col("had_content") == F.array(names.CONTENT_SHA256)) & (
        F.col(HAD_DATES) == F.array(names.CAPTURE_DATE)
    )
    gone = F.col("pruned").isNotNull() & F.col(HAD_DATES).isNull()
    state = (
        F.when(gone, PRUNED)
        .when(F.col(names.REASON).isNotNull(), BAD)
        .when(F.col(HAD_DATES).isNull(), NEW)
        .when(same, SAME)
        .otherwise(CHANGED)
    )
    reuploaded = F.col(names.REASON).isNotNull() & F.col(HAD_DATES).isNotNull()
    detail = F.concat(
        F.lit("the table keeps the earlier content: "),
        F.concat_ws(": ", names.REASON, names.DETAIL),
    )
    marked = pruned.withColumn("pruned", F.lit(True))
    joined = described.join(had, names.IMAGE_ID, "left").join(
        marked, [names.IMAGE_ID, names.CONTENT_SHA256], "left"
    )
    reason = F.when(reuploaded, names.UNUSABLE_REUPLOAD).when(~gone, F.col(names.REASON))
    return joined.withColumns(
        {
            STATE: state,
            names.DETAIL: F.when(reuploaded, detail).otherwise(F.col(names.DETAIL)),
            names.REASON: reason,
        }
    ).drop("pruned")


def image_rows(described: DataFrame, references: DataFrame, *, root: str) -> DataFrame:
    """Rows of ``images`` with their references, where these are there and usable."""
    renamed = described.withColumnRenamed(CONTENT, names.IMAGE)
    return attach_references(renamed, references, root).select(schemas.IMAGES.names)


def image_rejects(described: DataFrame) -> DataFrame:
    """Rows of ``rejects`` for the files that are no usable images."""
    return described.where(F.col(names.REASON).isNotNull()).select(
        *reject_columns(names.KIND_IMAGE)
    )


def attach_references(images: DataFrame, references: DataFrame, root: str) -> DataFrame:
    """Join the usable references to the images that name them in ``reference_path``."""
    golden = references.where(F.col(names.REASON).isNull()).select(
        F.col(KEY).alias(REFERENCE_KEY),
        F.col(CONTENT).alias(names.REFERENCE),
        F.col(names.CONTENT_SHA256).alias(names.REFERENCE_SHA256),
        source_uri(root, F.col(KEY)).alias(names.REFERENCE_URI),
    )
    return images.join(golden, REFERENCE_KEY, "left")


Look = Callable[[bytes], images.ImageInfo]


def _inspect(path: str, content: bytes, look: Look, layout: Layout) -> tuple[Any, ...]:
    """Size, hash, fault and traits of one file, in the order of ``_INSPECTED``."""
    width, height, reason, detail = None, None, None, None
    try:
        info = look(content)
        width, height = info.width, info.height
    except ImageError as error:
        reason, detail = error.reason, error.detail
    described = _described(layout.read(path, content if reason is None else None))
    return width, height, hashlib.sha256(content).hexdigest(), reason, detail, *described


def _described(traits: Traits) -> list[Any]:
    return [*(getattr(traits, name) for name in TRAITS), traits.time_fault]
