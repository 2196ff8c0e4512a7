"""A camera drop becomes the tables ``images``, ``verdicts`` and ``rejects``.

A drop is a folder with component images, golden references and one CSV of verdicts (README shows
the layout). An image that the CSV doesn't name keeps what its path tells (``line=…/date=…/
<board>_<position>.jpg``) and waits for its verdict. Every file and every verdict ends in one table;
files whose name begins with ``_`` or ``.`` are hidden, as for all of Spark's file sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark import images as pixels
from pcb_spark import references as golden
from pcb_spark import schemas as s
from pcb_spark import verdicts
from pcb_spark.errors import ImageError
from pcb_spark.verdicts import KEY, REFERENCE_KEY, reject_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

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
    named = files.select(_relative(root).alias(KEY), s.LENGTH, _CONTENT)
    return named.mapInArrow(_inspector(max_pixels), _INSPECTED)


def with_empty_files(inspected: DataFrame, listed: DataFrame, *, root: str) -> DataFrame:
    """Add the files without a byte, which Spark's binaryFile source lists but doesn't scan.

    Parameters
    ----------
    inspected : answer of ``inspect_files``.
    listed : ``path`` of every file that was listed.
    """
    missing = listed.select(_relative(root).alias(KEY)).join(inspected, KEY, "left_anti")
    width, height, reason, detail = _inspect_one(b"", pixels.DEFAULT_MAX_PIXELS)
    found = (0, b"", width, height, hashlib.sha256(b"").hexdigest(), reason, detail)
    rows = [(row[KEY], *found) for row in missing.collect()]
    return inspected.unionByName(inspected.sparkSession.createDataFrame(rows, _INSPECTED))


def ingest(
    inspected: DataFrame,
    references: DataFrame,
    manifest: DataFrame,
    windows: DataFrame | None = None,
    *,
    root: str,
    windows_uri: str = "",
    size_tolerance: float = 0.02,
) -> Ingested:
    """Join files, references and verdicts, and send whatever doesn't fit to the rejects.

    Parameters
    ----------
    inspected, references : answers of ``inspect_files``.
    manifest : answer of ``verdicts.read_manifest``.
    windows : answer of ``references.read_windows`` of the file ``windows_uri``, if there is one.
    size_tolerance : of ``references.keep_fitting``.
    root : qualified URI of the drop.
    """
    known = verdicts.traceability(manifest)
    described = _describe(inspected.join(known, KEY, "left"), root)
    usable_references = references.where(F.col(s.REASON).isNull())
    settled_references = golden.settle(
        described.where(F.col(s.REASON).isNull()), references, windows,
        where=windows_uri, root=root, tolerance=size_tolerance,
    )  # fmt: skip
    images = settled_references.images
    with_reference = _attach_references(images, usable_references, root)
    settled, verdict_rejects = verdicts.settle(manifest, described, root=root)
    rejects = [
        _image_rejects(described),
        _reference_rejects(images, references, root),
        settled_references.rejects,
        verdict_rejects,
    ]
    return Ingested(
        images=with_reference.select(s.IMAGES.names),
        verdicts=settled.select(s.VERDICTS.names),
        rejects=reduce(lambda a, b: a.unionByName(b), rejects),
    )


def _relative(root: str) -> Column:
    return F.expr(f"substring(path, {len(root.rstrip('/')) + 2})")


def _inspector(
    max_pixels: int,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def inspect_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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


def _describe(joined: DataFrame, root: str) -> DataFrame:
    """Fill from the path what the verdict file doesn't tell, and find images without a time."""
    path = F.col(KEY)
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
    files = usable.select(
        F.col(KEY).alias(REFERENCE_KEY),
        F.col(_CONTENT).alias(s.REFERENCE),
        F.col(s.CONTENT_SHA256).alias(s.REFERENCE_SHA256),
        F.concat(F.lit(root.rstrip("/") + "/"), F.col(KEY)).alias(s.REFERENCE_URI),
    )
    return images.withColumnRenamed(_CONTENT, s.IMAGE).join(files, REFERENCE_KEY, "left")


def _image_rejects(described: DataFrame) -> DataFrame:
    return described.where(F.col(s.REASON).isNotNull()).select(*reject_columns(s.KIND_IMAGE))


def _reference_rejects(images: DataFrame, references: DataFrame, root: str) -> DataFrame:
    """One row a reference that an image asks for and that is missing or can't be used."""
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
        F.concat(F.lit(root.rstrip("/") + "/"), F.col(REFERENCE_KEY)).alias(s.SOURCE_URI),
        F.when(missing, s.REFERENCE_MISSING).otherwise(s.REFERENCE_UNUSABLE).alias(s.REASON),
        F.when(missing, "no such file in the drop").otherwise(detail).alias(s.DETAIL),
        s.LENGTH,
        s.CAPTURE_DATE,
    ).select(*reject_columns(s.KIND_REFERENCE))
