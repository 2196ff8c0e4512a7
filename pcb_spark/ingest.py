"""A camera drop becomes the tables ``images``, ``verdicts`` and ``rejects``.

A drop is a folder with component images, golden references and one CSV of verdicts (README shows
the layout). An image that the CSV doesn't name keeps what its path tells (``line=…/date=…/
<board>_<position>.jpg``) and waits for its verdict. Every file and every verdict ends in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark import images as pixels
from pcb_spark import schemas as s
from pcb_spark.errors import ImageError, InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

#: The columns of a verdict file; only ``image`` has to be there.
MANIFEST_COLUMNS = (
    s.IMAGE, s.REFERENCE, s.BOARD_ID, s.POSITION, s.PART_NUMBER, s.LOT, s.LINE, s.CAPTURED_AT,
    s.VERDICT, s.DEFECTS, s.OPERATOR_ID, s.VERIFIED_AT,
)  # fmt: skip

_KEY = "relative_path"
_REFERENCE_KEY = "reference_path"
_ROW = "row_number"
_CONTENT = "content"
_INSPECTED = (
    "relative_path string, length long, content binary, width int, height int, "
    "content_sha256 string, reason string, detail string"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of a drop; ``images`` and ``verdicts`` follow their table's schema.

    ``rejects`` lacks ``run_id`` and ``seen_at``, which the rim adds.
    """

    images: DataFrame
    verdicts: DataFrame
    rejects: DataFrame


def inspect_files(files: DataFrame, *, root: str, max_pixels: int) -> DataFrame:
    """Open every file of Spark's binaryFile source once.

    Returns
    -------
    ``relative_path`` to ``root``, ``length``, ``content``, ``width``, ``height``,
    ``content_sha256``, and ``reason`` and ``detail`` where it is no usable image.
    """
    relative = F.expr(f"substring(path, {len(root.rstrip('/')) + 2})")
    named = files.select(relative.alias(_KEY), s.LENGTH, _CONTENT)
    return named.mapInArrow(_inspector(max_pixels), _INSPECTED)


def read_manifest(raw: DataFrame, where: str) -> DataFrame:
    """Bring a verdict file's columns into one form; absent ones are null, blanks too.

    Raises
    ------
    InputError : there is no column ``image``.
    """
    if s.IMAGE not in raw.columns:
        what = f"the verdict file {where} has no column named image"
        raise InputError(
            what,
            expected=f"a CSV header with image and any of {', '.join(MANIFEST_COLUMNS[1:])}",
            got=", ".join(raw.columns) or "an empty file",
            hint="correct the header; paths are relative to the drop",
        )
    columns = [_text(raw, name).alias(name) for name in MANIFEST_COLUMNS]
    manifest = raw.select(*columns).withColumnsRenamed({s.IMAGE: _KEY, s.REFERENCE: _REFERENCE_KEY})
    return manifest.withColumn(_ROW, F.monotonically_increasing_id()).withColumns(
        {
            s.CAPTURED_AT: F.expr(f"try_to_timestamp({s.CAPTURED_AT})"),
            s.VERIFIED_AT: F.expr(f"try_to_timestamp({s.VERIFIED_AT})"),
            s.VERDICT: F.lower(s.VERDICT),
        }
    )


def ingest(
    inspected: DataFrame, references: DataFrame, manifest: DataFrame, *, root: str
) -> Ingested:
    """Join files, references and verdicts, and send whatever doesn't fit to the rejects.

    Parameters
    ----------
    inspected, references : answers of ``inspect_files``.
    manifest : answer of ``read_manifest``.
    root : qualified URI of the drop.
    """
    known = _traceability(manifest)
    described = _describe(inspected.join(known, _KEY, "left"), root)
    usable_references = references.where(F.col(s.REASON).isNull())
    images = described.where(F.col(s.REASON).isNull())
    with_reference = _attach_references(images, usable_references, root)
    verdicts, verdict_rejects = _settle(manifest, described, root)
    rejects = [
        _image_rejects(described),
        _reference_rejects(images, references, root),
        verdict_rejects,
    ]
    return Ingested(
        images=with_reference.select(s.IMAGES.names),
        verdicts=verdicts.select(s.VERDICTS.names),
        rejects=reduce(lambda a, b: a.unionByName(b), rejects),
    )


def _inspector(
    max_pixels: int,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def inspect_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import hashlib

        import pyarrow as pa

        for batch in batches:
            contents = batch.column(2).to_pylist()
            found = [_inspect_one(content, max_pixels) for content in contents]
            digests = [hashlib.sha256(content).hexdigest() for content in contents]
            width, height, reason, detail = zip(*found, strict=True) if found else ((),) * 4
            columns = [
                *batch.columns,
                pa.array(width, pa.int32()),
                pa.array(height, pa.int32()),
                pa.array(digests, pa.string()),
                pa.array(reason, pa.string()),
                pa.array(detail, pa.string()),
            ]
            names = [*batch.schema.names, s.WIDTH, s.HEIGHT, s.CONTENT_SHA256, s.REASON, s.DETAIL]
            yield pa.RecordBatch.from_arrays(columns, names=names)

    return inspect_partition


def _inspect_one(
    content: bytes, max_pixels: int
) -> tuple[int | None, int | None, str | None, str | None]:
    try:
        info = pixels.inspect(content, max_pixels=max_pixels)
    except ImageError as error:
        return None, None, error.reason, error.detail
    return info.width, info.height, None, None


def _text(raw: DataFrame, name: str) -> Column:
    if name not in raw.columns:
        return F.lit(None).cast("string")
    trimmed = F.trim(F.col(f"`{name}`").cast("string"))
    return F.when(trimmed != "", trimmed)


def _traceability(manifest: DataFrame) -> DataFrame:
    """One row an image: the first value of each column, in the file's order."""
    columns = (
        _REFERENCE_KEY, s.BOARD_ID, s.POSITION, s.PART_NUMBER, s.LOT, s.LINE, s.CAPTURED_AT,
    )  # fmt: skip
    in_order = Window.partitionBy(_KEY).orderBy(_ROW)
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    firsts = {name: F.first(name, ignorenulls=True).over(whole) for name in columns}
    first_row = F.row_number().over(in_order)
    chosen = manifest.withColumns(firsts).withColumn("place", first_row).where("place = 1")
    return chosen.select(_KEY, *columns)


def _describe(joined: DataFrame, root: str) -> DataFrame:
    """Fill from the path what the verdict file doesn't tell, and find images without a time."""
    path = F.col(_KEY)
    stem = F.regexp_extract(path, r"([^/]+?)(\.[^./]*)?$", 1)
    parts = F.regexp_extract(stem, r"^(.+)_([^_]+)$", 1), F.regexp_extract(stem, r"_([^_]+)$", 1)
    day = F.regexp_extract(path, r"(?:^|/)date=(\d{4}-\d{2}-\d{2})/", 1)
    filled = joined.withColumns(
        {
            s.LINE: F.coalesce(
                s.LINE, _or_null(F.regexp_extract(path, r"(?:^|/)line=([^/]+)/", 1))
            ),
            s.LOT: F.coalesce(s.LOT, _or_null(F.regexp_extract(path, r"(?:^|/)lot=([^/]+)/", 1))),
            s.BOARD_ID: F.coalesce(s.BOARD_ID, _or_null(parts[0]), stem),
            s.POSITION: F.coalesce(s.POSITION, _or_null(parts[1])),
            s.CAPTURED_AT: F.coalesce(s.CAPTURED_AT, F.try_to_timestamp(day)),
        }
    )
    untimed = F.col(s.REASON).isNull() & F.col(s.CAPTURED_AT).isNull()
    return filled.withColumns({
        s.IMAGE_ID: _image_id(path),
        s.SOURCE_URI: F.concat(F.lit(root.rstrip("/") + "/"), path),
        s.CAPTURE_DATE: F.to_date(s.CAPTURED_AT),
        s.DETAIL: F.when(untimed, F.lit("no captured_at in the verdict file and no date= folder"))
        .otherwise(F.col(s.DETAIL)),
        s.REASON: F.when(untimed, F.lit(s.CAPTURE_TIME_MISSING)).otherwise(F.col(s.REASON)),
    })  # fmt: skip


def _image_id(path: Column) -> Column:
    """128 bits of the path's hash: the same file of a drop has the same id wherever it is read."""
    return F.substring(F.sha2(path, 256), 1, 32)


def _or_null(text: Column) -> Column:
    return F.when(text != "", text)


def _attach_references(images: DataFrame, usable: DataFrame, root: str) -> DataFrame:
    golden = usable.select(
        F.col(_KEY).alias(_REFERENCE_KEY),
        F.col(_CONTENT).alias(s.REFERENCE),
        F.col(s.CONTENT_SHA256).alias(s.REFERENCE_SHA256),
        F.concat(F.lit(root.rstrip("/") + "/"), F.col(_KEY)).alias(s.REFERENCE_URI),
    )
    return images.withColumnRenamed(_CONTENT, s.IMAGE).join(golden, _REFERENCE_KEY, "left")


def _image_rejects(described: DataFrame) -> DataFrame:
    return described.where(F.col(s.REASON).isNotNull()).select(*_reject(s.KIND_IMAGE))


def _reference_rejects(images: DataFrame, references: DataFrame, root: str) -> DataFrame:
    """One row a reference that an image asks for and that is missing or can't be used."""
    wanted = images.where(F.col(_REFERENCE_KEY).isNotNull()).groupBy(_REFERENCE_KEY)
    first_day = wanted.agg(F.min(s.CAPTURE_DATE).alias(s.CAPTURE_DATE))
    found = references.select(
        F.col(_KEY).alias(_REFERENCE_KEY), s.LENGTH, s.REASON, s.DETAIL, F.lit(1).alias("found")
    )
    faulty = first_day.join(found, _REFERENCE_KEY, "left").where(
        "found is null or reason is not null"
    )
    missing = F.col("found").isNull()
    detail = F.concat_ws(": ", s.REASON, s.DETAIL)
    return faulty.select(
        F.concat(F.lit(root.rstrip("/") + "/"), F.col(_REFERENCE_KEY)).alias(s.SOURCE_URI),
        F.when(missing, s.REFERENCE_MISSING).otherwise(s.REFERENCE_UNUSABLE).alias(s.REASON),
        F.when(missing, "no such file in the drop").otherwise(detail).alias(s.DETAIL),
        s.LENGTH,
        s.CAPTURE_DATE,
    ).select(*_reject(s.KIND_REFERENCE))


def _settle(manifest: DataFrame, described: DataFrame, root: str) -> tuple[DataFrame, DataFrame]:
    """One row an image; a row of the verdict file that doesn't become it goes to the rejects.

    The latest ``verified_at`` wins. Rows of the same time that contradict each other leave the
    image unverified.
    """
    found = described.select(_KEY, s.IMAGE_ID, s.CAPTURE_DATE, F.col(s.REASON).alias("fault"))
    verdict = F.col(s.VERDICT)
    known = verdict.isNull() | verdict.isin(s.VERDICT_PASS, s.VERDICT_FAIL)
    joined = manifest.join(found, _KEY, "left").withColumn("known", known)
    opinion = F.when(F.col("known"), verdict)
    per_image = Window.partitionBy(_KEY)
    newest = F.max(F.when(opinion.isNotNull(), F.col(s.VERIFIED_AT))).over(per_image)
    current = newest.isNull() | (F.col(s.VERIFIED_AT) == newest)
    newest_first = Window.partitionBy(_KEY, "known").orderBy(
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
            s.SOURCE_URI: F.concat(F.lit(root.rstrip("/") + "/"), F.col(_KEY)),
        }
    )
    rejected = settled.where(F.col(s.REASON).isNotNull())
    return settled.where(F.col(s.REASON).isNull()), rejected.select(*_reject(s.KIND_VERDICT))


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
        .when(F.col(s.REASON) == s.VERDICT_WITHOUT_IMAGE, F.lit("no such file in the drop"))
        .when(F.col(s.REASON).isNotNull(), F.lit("another row for this image counts"))
    )


def _reject(kind: str) -> list[Column]:
    return [
        F.col(s.SOURCE_URI),
        F.lit(kind).alias(s.KIND),
        F.col(s.REASON),
        F.col(s.DETAIL),
        F.col(s.LENGTH),
        F.col(s.CAPTURE_DATE),
    ]
