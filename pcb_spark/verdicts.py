"""The verdict file of a drop: what it says of each image, and the one verdict that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark import schemas as s
from pcb_spark.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: The columns of a verdict file; only ``image`` has to be there.
MANIFEST_COLUMNS = (
    s.IMAGE, s.REFERENCE, s.BOARD_ID, s.POSITION, s.PART_NUMBER, s.LOT, s.LINE, s.CAPTURED_AT,
    s.VERDICT, s.DEFECTS, s.OPERATOR_ID, s.VERIFIED_AT,
)  # fmt: skip

KEY = "relative_path"
REFERENCE_KEY = "reference_path"
_ROW = "row_number"


def read_csv(spark: SparkSession, uri: str) -> DataFrame:
    """Read a verdict file as RFC 4180 has it, and bring it into the form of ``read_manifest``."""
    # A quote within quotes is written twice there; Spark's default is a backslash before it.
    raw = spark.read.csv(uri, header=True, multiLine=True, escape='"')
    return read_manifest(raw, uri)


def read_manifest(raw: DataFrame, where: str) -> DataFrame:
    """Bring a verdict file's columns into one form; absent ones are null, blanks too.

    The header's case and the blanks around its names don't matter.

    Raises
    ------
    InputError : there is no column ``image``.
    """
    raw = raw.toDF(*(name.strip().lower() for name in raw.columns))
    if s.IMAGE not in raw.columns:
        what = f"the verdict file {where} has no column named image"
        raise InputError(
            what,
            expected=f"a CSV header with image and any of {', '.join(MANIFEST_COLUMNS[1:])}",
            got=", ".join(raw.columns) or "an empty file",
            hint="correct the header; paths are relative to the drop",
        )
    columns = [_text(raw, name).alias(name) for name in MANIFEST_COLUMNS]
    manifest = raw.select(*columns).withColumnsRenamed({s.IMAGE: KEY, s.REFERENCE: REFERENCE_KEY})
    return manifest.withColumn(_ROW, F.monotonically_increasing_id()).withColumns(
        {
            s.CAPTURED_AT: _timestamp(s.CAPTURED_AT),
            s.VERIFIED_AT: _timestamp(s.VERIFIED_AT),
            s.VERDICT: F.lower(s.VERDICT),
        }
    )


def traceability(manifest: DataFrame) -> DataFrame:
    """One row an image: the first value of each column, in the file's order."""
    columns = (
        REFERENCE_KEY, s.BOARD_ID, s.POSITION, s.PART_NUMBER, s.LOT, s.LINE, s.CAPTURED_AT,
    )  # fmt: skip
    in_order = Window.partitionBy(KEY).orderBy(_ROW)
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    firsts = {name: F.first(name, ignorenulls=True).over(whole) for name in columns}
    first_row = F.row_number().over(in_order)
    chosen = manifest.withColumns(firsts).withColumn("place", first_row).where("place = 1")
    return chosen.select(KEY, *columns)


def settle(manifest: DataFrame, described: DataFrame, *, root: str) -> tuple[DataFrame, DataFrame]:
    """One row an image; a row of the verdict file that doesn't become it goes to the rejects.

    The latest ``verified_at`` wins. Rows of the same time that contradict each other leave the
    image unverified.
    """
    found = described.select(KEY, s.IMAGE_ID, s.CAPTURE_DATE, F.col(s.REASON).alias("fault"))
    verdict = F.col(s.VERDICT)
    known = verdict.isNull() | verdict.isin(s.VERDICT_PASS, s.VERDICT_FAIL)
    joined = manifest.join(found, KEY, "left").withColumn("known", known)
    opinion = F.when(F.col("known"), verdict)
    per_image = Window.partitionBy(KEY)
    newest = F.max(F.when(opinion.isNotNull(), F.col(s.VERIFIED_AT))).over(per_image)
    current = newest.isNull() | (F.col(s.VERIFIED_AT) == newest)
    newest_first = Window.partitionBy(KEY, "known").orderBy(
        verdict.isNull(), F.col(s.VERIFIED_AT).desc_nulls_last(), F.desc(_ROW)
    )
    judged = joined.withColumn("current", current).withColumns(
        {
            "opinions": F.size(F.collect_set(F.when(F.col("current"), opinion)).over(per_image)),
            "place": F.row_number().over(newest_first),
        }
    )
    settled = judged.withColumn(s.REASON, _verdict_fault()).withColumns(
        {
            s.DETAIL: _verdict_detail(),
            s.LENGTH: F.lit(None).cast("long"),
            s.SOURCE_URI: F.concat(F.lit(root.rstrip("/") + "/"), F.coalesce(KEY, F.lit(""))),
        }
    )
    rejected = settled.where(F.col(s.REASON).isNotNull())
    return settled.where(F.col(s.REASON).isNull()), rejected.select(*reject_columns(s.KIND_VERDICT))


def reject_columns(kind: str) -> list[Column]:
    """The columns of ``rejects`` that ingest fills in."""
    return [
        F.col(s.SOURCE_URI),
        F.lit(kind).alias(s.KIND),
        F.col(s.REASON),
        F.col(s.DETAIL),
        F.col(s.LENGTH),
        F.col(s.CAPTURE_DATE),
    ]


def _text(raw: DataFrame, name: str) -> Column:
    if name not in raw.columns:
        return F.lit(None).cast("string")
    trimmed = F.trim(F.col(f"`{name}`").cast("string"))
    return F.when(trimmed != "", trimmed)


def _timestamp(name: str) -> Column:
    """Read ISO 8601; without a day there is no time, since Spark would take today for it."""
    return F.when(F.col(name).rlike(r"^\d{4}-\d{1,2}-\d{1,2}"), F.try_to_timestamp(name))


def _verdict_fault() -> Column:
    contradicted = F.col("current") & F.col(s.VERDICT).isNotNull() & (F.col("opinions") > 1)
    return (
        F.when(F.col(s.IMAGE_ID).isNull() | F.col("fault").isNotNull(), s.VERDICT_WITHOUT_IMAGE)
        .when(~F.col("known"), s.VERDICT_UNKNOWN)
        .when(contradicted, s.VERDICT_CONFLICT)
        .when(F.col("place") > 1, s.VERDICT_SUPERSEDED)
    )


def _verdict_detail() -> Column:
    fault = F.col("fault")
    return (
        F.when(F.col(s.REASON) == s.VERDICT_UNKNOWN, F.concat(F.lit("got "), F.col(s.VERDICT)))
        .when(F.col(s.REASON) == s.VERDICT_CONFLICT, F.concat(F.lit("one of several: "), s.VERDICT))
        .when(fault.isNotNull(), F.concat(F.lit("its image was rejected: "), fault))
        .when(F.col(KEY).isNull(), F.lit("its row names no image"))
        .when(F.col(s.REASON) == s.VERDICT_WITHOUT_IMAGE, F.lit("no such file in the drop"))
        .when(F.col(s.REASON).isNotNull(), F.lit("another row for this image counts"))
    )
