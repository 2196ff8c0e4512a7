"""Which reference belongs to an image, where the drop doesn't say so image by image.

Golden images change with the product. ``references.csv`` in a drop says for which part number,
position and line a reference is good, and from when until when::

    reference,part_number,position,line,valid_from,valid_until
    references/R0603_a.png,R-0603-10K,,,2026-01-01,2026-03-01
    references/R0603_b.png,R-0603-10K,,,2026-03-01,
    references/U7.png,,U7,L2,,

What a row leaves empty it doesn't ask for; of the rows that fit an image, those that ask for most
count. A window is open where a time is empty; it begins at ``valid_from`` and ends before
``valid_until``. An image whose own reference is named elsewhere keeps that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from pcb_spark.core import names, times, validity
from pcb_spark.ingest import time_columns
from pcb_spark.ingest.verdict_form import FAULT
from pcb_spark.ingest.verdicts import KEY, REFERENCE_KEY, reject_columns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_LOOKUP: Final = "lookup"
_FOUND: Final = "found"
_RANK: Final = "rank"
_N: Final = "n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Images with ``reference_path``, null where none fits, and why in the form of ``rejects``."""

    images: DataFrame
    rejects: DataFrame


def read_windows(raw: DataFrame, where: str, *, reader: times.Reader | None = None) -> DataFrame:
    """Bring ``references.csv`` into one form; blanks are null, ``reason`` tells unusable rows.

    A column ``FAULT`` of ``raw`` says why a row can't be used.

    Parameters
    ----------
    reader : how the plant writes its times; a window may be open as far as it likes.

    Raises
    ------
    InputError : there is no column ``reference``.
    """
    raw = raw.toDF(*(name.strip().lower() for name in raw.columns))
    if names.REFERENCE not in raw.columns:
        raise validity.missing_column(where, raw.columns)
    texts = raw.select(*(_text(raw, name).alias(name) for name in (*validity.COLUMNS, FAULT)))
    how = replace(reader or times.Reader(), earliest=None)
    windows = time_columns.parsed(texts, (validity.VALID_FROM, validity.VALID_UNTIL), how)
    unread = F.coalesce(
        time_columns.fault_of(validity.VALID_FROM),
        time_columns.fault_of(validity.VALID_UNTIL),
    )
    fault = (
        F.when(F.col(FAULT).isNotNull(), F.col(FAULT))
        .when(F.col(names.REFERENCE).isNull(), "it names no reference")
        .when(
            F.coalesce(names.PART_NUMBER, names.POSITION).isNull(),
            "it names no part and no position",
        )
        .when(unread.isNotNull(), unread)
        .when(
            F.col(validity.VALID_FROM) >= F.col(validity.VALID_UNTIL),
            "it ends before it begins",
        )
    )
    reason = F.when(fault.isNotNull(), names.REFERENCE_WINDOW_UNUSABLE)
    judged = windows.withColumns({names.DETAIL: fault, names.REASON: reason})
    judged = judged.drop(
        FAULT,
        *(time_columns.fault_of(name) for name in (validity.VALID_FROM, validity.VALID_UNTIL)),
    )
    return judged.withColumnRenamed(names.REFERENCE, REFERENCE_KEY)


def choose(
    images: DataFrame,
    references: DataFrame,
    windows: DataFrame | None,
    *,
    where: str,
    root: str,
    tolerance: float,
) -> Resolved:
    """Find each image's reference, ``resolve``, and leave out what doesn't fit, ``keep_fitting``.

    Parameters
    ----------
    windows : answer of ``read_windows``, or None where the drop has no such file.
    """
    rejects = []
    if windows is not None:
        found = resolve(images, windows, where=where)
        images = found.images
        rejects.append(found.rejects)
    fitting = keep_fitting(images, references, tolerance=tolerance, root=root)
    return Resolved(
        images=fitting.images,
        rejects=reduce(lambda a, b: a.unionByName(b), [*rejects, fitting.rejects]),
    )


def resolve(images: DataFrame, windows: DataFrame, *, where: str) -> Resolved:
    """Fill ``reference_path`` of images that have none from the window that holds them.

    Parameters
    ----------
    images : ``relative_path``, ``reference_path``, part_number, position, line, captured_at,
        capture_date, and ``reason`` (not null: no usable image); other columns are carried along.
    windows : answer of ``read_windows``.
    where : URI of the file with the windows, for the rejects.
    """
    usable = windows.where(F.col(names.REASON).isNull())
    chosen = _choose(images, usable)
    own = F.col(REFERENCE_KEY)
    fits = F.when(F.size(_FOUND) == 1, F.col(_FOUND)[0][REFERENCE_KEY])
    filled = images.join(chosen.select(KEY, _FOUND), KEY, "left").withColumn(
        REFERENCE_KEY, F.coalesce(own, fits)
    )
    rejects = _window_rejects(windows, where).unionByName(_unresolved(chosen, where))
    return Resolved(images=filled.drop(_FOUND), rejects=rejects)


def keep_fitting(
    images: DataFrame, references: DataFrame, *, tolerance: float, root: str
) -> Resolved:
    """Take references of another size away from images.

    Parameters
    ----------
    images : ``reference_path``, width, height, capture_date; other columns are carried along.
    references : ``relative_path``, width and height (null for what is no usable image), length.
    tolerance : how far width and height may be apart, as a share of the image's.
    """
    opened = references.select(
        F.col(KEY).alias(REFERENCE_KEY),
        F.struct(names.WIDTH, names.HEIGHT, names.LENGTH).alias(_FOUND),
    )
    joined = images.join(F.broadcast(opened), REFERENCE_KEY, "left")
    apart = [F.abs(F.col(_FOUND)[side] - F.col(side)) > tolerance * F.col(side) for side in _SIDES]
    differs = F.coalesce(apart[0] | apart[1], F.lit(False))
    kept = F.when(~differs, F.col(REFERENCE_KEY))
    rejects = (
        joined.where(differs)
        .groupBy(REFERENCE_KEY)
        .agg(
            F.first(_FOUND).alias(_FOUND),
            F.first(F.struct(*_SIDES)).alias("image"),
            F.count("*").alias(_N),
            F.min(names.CAPTURE_DATE).alias(names.CAPTURE_DATE),
        )
    )
    return Resolved(
        images=joined.withColumn(REFERENCE_KEY, kept).drop(_FOUND),
        rejects=rejects.withColumns({
            names.SOURCE_URI: F.concat(F.lit(root.rstrip("/") + "/"), REFERENCE_KEY),
            names.REASON: F.lit(names.REFERENCE_SIZE_DIFFERS),
            names.DETAIL: F.format_string(
                "it is %d x %d, %d images are not: the first is %d x %d",
                *(F.col(_FOUND)[side] for side in _SIDES), _N,
                *(F.col("image")[side] for side in _SIDES),
            ),
            names.LENGTH: F.col(_FOUND)[names.LENGTH],
        }).select(*reject_columns(names.KIND_REFERENCE)),
    )  # fmt: skip


_SIDES: Final = (names.WIDTH, names.HEIGHT)


def _choose(images: DataFrame, windows: DataFrame) -> DataFrame:
    """One row an image without a reference: ``found``, the windows that ask for most of it.

    An image looks windows up by every combination of what a window may ask for, so that one hash
    join finds them whatever they leave empty.
    """
    wanting = images.where(F.col(REFERENCE_KEY).isNull() & F.col(names.REASON).isNull())
    described = wanting.select(KEY, *validity.ASKED, names.CAPTURED_AT, names.CAPTURE_DATE)
    lookups = F.array(
        *(_lookup(asked) for asked in product((True, False), repeat=len(validity.ASKED)))
    )
    looking = described.withColumn(_LOOKUP, F.explode(F.array_distinct(lookups)))
    rank = reduce(
        lambda a, b: a + b, (F.col(name).isNotNull().cast("int") for name in validity.ASKED)
    )
    offered = windows.select(
        _lookup((True,) * len(validity.ASKED)).alias(_LOOKUP), REFERENCE_KEY,
        validity.VALID_FROM, validity.VALID_UNTIL, rank.alias(_RANK),
    )  # fmt: skip
    moment = F.col(names.CAPTURED_AT)
    open_then = F.coalesce(moment >= F.col(validity.VALID_FROM), F.lit(True)) & F.coalesce(
        moment < F.col(validity.VALID_UNTIL), F.lit(True)
    )
    matched = looking.join(
        F.broadcast(offered), (looking[_LOOKUP] == offered[_LOOKUP]) & open_then, "left"
    )
    window = F.when(F.col(_RANK).isNotNull(), F.struct(_RANK, REFERENCE_KEY))
    found = matched.groupBy(KEY, *validity.ASKED, names.CAPTURED_AT, names.CAPTURE_DATE).agg(
        F.collect_set(window).alias(_FOUND)
    )
    most = F.array_max(F.transform(_FOUND, lambda each: each[_RANK]))
    best = F.filter(F.col(_FOUND), lambda each: each[_RANK] == most)
    return found.withColumn(_FOUND, best)


def _lookup(asked: tuple[bool, ...]) -> Column:
    """What is asked for as one string; JSON leaves out what is null."""
    null = F.lit(None).cast("string")
    parts = [
        (F.col(name) if wanted else null).alias(name)
        for name, wanted in zip(validity.ASKED, asked, strict=True)
    ]
    return F.to_json(F.struct(*parts))


def _window_rejects(windows: DataFrame, where: str) -> DataFrame:
    """Rows of the file that say nothing usable."""
    faulty = windows.where(F.col(names.REASON).isNotNull())
    row = F.to_json(F.struct(REFERENCE_KEY, *validity.ASKED))
    return faulty.withColumns({
        names.SOURCE_URI: F.lit(where),
        names.DETAIL: F.concat_ws(": ", names.DETAIL, row),
        names.LENGTH: F.lit(None).cast("long"),
        names.CAPTURE_DATE: F.lit(None).cast("date"),
    }).select(*reject_columns(names.KIND_REFERENCE))  # fmt: skip


def _unresolved(chosen: DataFrame, where: str) -> DataFrame:
    """One row for each part, position and line without a window, or with several at a time."""
    several = F.transform(_FOUND, lambda each: each[REFERENCE_KEY])
    holders = F.array_join(F.array_sort(several), " and ")
    faulty = chosen.where(F.size(_FOUND) != 1).withColumn("names", holders)
    counted = faulty.groupBy(*validity.ASKED, "names").agg(
        F.count("*").alias(_N),
        F.min(names.CAPTURED_AT).alias("first"),
        F.max(names.CAPTURED_AT).alias("last"),
        F.min(names.CAPTURE_DATE).alias(names.CAPTURE_DATE),
    )
    of = F.concat(
        F.col(_N).cast("string"), F.lit(" images of "), F.to_json(F.struct(*validity.ASKED))
    )
    span = [F.date_format(end, "yyyy-MM-dd'T'HH:mm:ssXXX") for end in ("first", "last")]
    when = F.concat(F.lit(", "), span[0], F.lit(" to "), span[1])
    ambiguous = F.col("names") != ""
    return counted.withColumns({
        names.SOURCE_URI: F.lit(where),
        names.REASON: F.when(ambiguous, names.REFERENCE_AMBIGUOUS)
        .otherwise(names.REFERENCE_MISSING),
        names.DETAIL: F.when(ambiguous, F.concat(F.col("names"), F.lit(" hold "), of, when))
        .otherwise(F.concat(F.lit("no window holds "), of, when)),
        names.LENGTH: F.lit(None).cast("long"),
    }).select(*reject_columns(names.KIND_REFERENCE))  # fmt: skip


def _text(raw: DataFrame, name: str) -> Column:
    if name not in raw.columns:
        return F.lit(None).cast("string")
    trimmed = F.trim(F.col(f"`{name}`").cast("string"))
    return F.when(trimmed != "", trimmed)
