"""The verdict files of a drop: what they say of each image, and the one verdict that counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names, times
from pcb_spark.core.errors import InputError
from pcb_spark.ingest import time_columns
from pcb_spark.ingest.time_columns import fault_of
from pcb_spark.ingest.verdict_files import FILE, ROW
from pcb_spark.ingest.verdict_form import (
    COLUMNS,
    FAULT,
    FAULT_REASON,
    NO_IMAGE_COLUMN,
    UNVERIFIED,
    meanings,
)
from pcb_spark.ingest.verdict_places import find_images

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.window import WindowSpec

_IMAGE_FAULT = "image_fault"
_CAPTURED, _LATE = "captured", "late"
_CAPTURED_FAULT, _VERIFIED_FAULT = fault_of(names.CAPTURED_AT), fault_of(names.VERIFIED_AT)
KEY = "relative_path"
REFERENCE_KEY = "reference_path"


def read_manifest(
    raw: DataFrame,
    *,
    reader: times.Reader | None = None,
    latest: datetime | None = None,
    words: Mapping[str, str] | None = None,
) -> DataFrame:
    """Bring the rows of ``verdict_files.read`` into one form: times, and verdicts in our words.

    What can't be read as a time is null, and ``captured_at_fault`` or ``verified_at_fault`` says of
    it what was found.

    Parameters
    ----------
    reader : how the plant writes its times.
    latest : a verdict can't be of a time after it. Of images ``ingest.describe`` says so.
    words : what a plant's own words mean, before those that every plant uses in one sense.
    """
    renamed = raw.withColumnsRenamed({names.IMAGE: KEY, names.REFERENCE: REFERENCE_KEY})
    manifest = time_columns.parsed(
        renamed, (names.CAPTURED_AT, names.VERIFIED_AT), reader or times.Reader()
    )
    moment = F.col(names.VERIFIED_AT)
    late = F.lit(False) if latest is None else F.coalesce(moment > F.lit(latest), F.lit(False))
    future = F.date_format(moment, "'it lies in the future: 'yyyy-MM-dd'T'HH:mm:ssXXX")
    return manifest.withColumns(
        {
            names.VERIFIED_AT: F.when(~late, moment),
            fault_of(names.VERIFIED_AT): F.coalesce(_VERIFIED_FAULT, F.when(late, future)),
            names.VERDICT: _verdict(words or {}),
            names.OPERATORS_DISAGREE: F.lit(None).cast("boolean"),
        }
    )


def _verdict(words: Mapping[str, str]) -> Column:
    """What a word means; one that nobody explained stays, in lower case, and is rejected."""
    # As verdict_form.canonical; without (?U) Java takes a blank that doesn't break for a letter.
    word = F.lower(F.regexp_replace(names.VERDICT, r"(?U)[\s_-]+", ""))
    pairs = [F.lit(text) for pair in meanings(words).items() for text in pair]
    meaning = F.coalesce(F.element_at(F.create_map(*pairs), word), F.lower(names.VERDICT))
    return F.when(meaning != UNVERIFIED, meaning)


def refuse_unreadable(manifest: DataFrame) -> None:
    """Stop where no file can be read at all; where some can, the others are rejects.

    Raises
    ------
    InputError : they have no column that says which image they speak of.
    """
    wrong = F.coalesce(F.col(FAULT).startswith(NO_IMAGE_COLUMN), F.lit(False))
    broken = manifest.where(wrong).orderBy(ROW).first()
    if broken is not None and manifest.where(~wrong).isEmpty():
        raise InputError(
            f"the verdict file {broken[FILE]} has {NO_IMAGE_COLUMN}",
            expected=f"a header with image and any of {', '.join(COLUMNS[1:])}",
            got=broken[FAULT].partition(": ")[2],
            hint="correct the header, or say in ingest.verdict_columns which column is which; "
            "pcb-spark preview proposes it",
        )


def resolve(manifest: DataFrame, known: DataFrame) -> DataFrame:
    """Give the rows that name a board and a position the images of these.

    Parameters
    ----------
    known : ``relative_path``, ``board_id`` and ``position`` of the images that there are.
    """
    by_place = F.col(KEY).isNull() & F.col(names.POSITION).isNotNull() & F.col(FAULT).isNull()
    found = find_images(manifest.where(by_place), known, KEY)
    return manifest.where(~by_place).unionByName(found)


def with_earlier(manifest: DataFrame, earlier: DataFrame) -> DataFrame:
    """Add the verdicts of earlier runs that the files don't hold any more.

    A file that says something else of the same image and time was corrected, and counts.

    Parameters
    ----------
    earlier : the table ``verdicts`` with ``relative_path``.
    """
    told = manifest.where(F.col(names.VERDICT).isNotNull()).select(
        F.col(KEY).alias("told"), F.col(names.VERIFIED_AT).alias("told_at")
    )
    same = (F.col(KEY) == F.col("told")) & F.col(names.VERIFIED_AT).eqNullSafe(F.col("told_at"))
    kept = earlier.where(F.col(names.VERDICT).isNotNull()).join(told, same, "left_anti")
    carried = kept.select(
        KEY, names.VERDICT, names.DEFECTS, names.OPERATOR_ID, names.VERIFIED_AT,
        names.OPERATORS_DISAGREE, F.lit(-1).cast("long").alias(ROW),
    )  # fmt: skip
    return manifest.unionByName(carried, allowMissingColumns=True)


def traceability(manifest: DataFrame) -> DataFrame:
    """One row an image: the first value of each column, in the file's order.

    The first time that is there counts, too where it can't be read: then ``captured_at`` is null
    and ``captured_at_fault`` isn't.
    """
    columns = (
        REFERENCE_KEY, names.BOARD_ID, names.POSITION, names.PART_NUMBER, names.LOT, names.LINE,
        _CAPTURED,
    )  # fmt: skip
    moment, fault = F.col(names.CAPTURED_AT), F.col(_CAPTURED_FAULT)
    captured = F.when(moment.isNotNull() | fault.isNotNull(), F.struct(moment, fault))
    manifest = manifest.withColumn(_CAPTURED, captured)
    in_order = Window.partitionBy(KEY).orderBy(ROW)
    whole = in_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    firsts = {name: F.first(name, ignorenulls=True).over(whole) for name in columns}
    first_row = F.row_number().over(in_order)
    named = manifest.where(F.col(KEY).isNotNull() & F.col(FAULT).isNull())
    chosen = named.withColumns(firsts).withColumn("place", first_row).where("place = 1")
    return chosen.select(KEY, *columns[:-1], f"{_CAPTURED}.*")


def effective(
    manifest: DataFrame, described: DataFrame, *, root: str, latest: datetime | None = None
) -> tuple[DataFrame, DataFrame]:
    """One row an image; a row of the verdict file that doesn't become it goes to the rejects.

    The latest ``verified_at`` wins. Rows of the same time that contradict each other leave the
    image unverified. ``operators_disagree`` marks images of which different operators said
    different things at any time; what each of them said stays in the rejects.

    Parameters
    ----------
    described : ``relative_path``, ``image_id``, ``capture_date`` and ``reason`` of every image that
        came, in the table or rejected.
    latest : a row that says its image was captured after it isn't believed.
    """
    found = described.select(
        KEY, names.IMAGE_ID, names.CAPTURE_DATE, F.col(names.REASON).alias(_IMAGE_FAULT)
    )
    verdict = F.col(names.VERDICT)
    late = F.coalesce(F.col(names.CAPTURED_AT) > F.lit(latest), F.lit(False))
    timed = F.col(_CAPTURED_FAULT).isNull() & F.col(_VERIFIED_FAULT).isNull() & ~late
    known = timed & (verdict.isNull() | verdict.isin(names.VERDICT_PASS, names.VERDICT_FAIL))
    joined = manifest.join(found, KEY, "left").withColumns({"known": known, _LATE: late})
    opinion = F.when(F.col("known"), verdict)
    per_image = Window.partitionBy(KEY)
    newest = F.max(F.when(opinion.isNotNull(), F.col(names.VERIFIED_AT))).over(per_image)
    current = newest.isNull() | (F.col(names.VERIFIED_AT) == newest)
    newest_first = Window.partitionBy(KEY, "known").orderBy(
        verdict.isNull(), F.col(names.VERIFIED_AT).desc_nulls_last(), F.desc(ROW)
    )
    judged = joined.withColumn("current", current).withColumns(
        {
            "opinions": F.size(F.collect_set(F.when(F.col("current"), opinion)).over(per_image)),
            "place": F.row_number().over(newest_first),
            names.OPERATORS_DISAGREE: _disagreement(opinion, per_image),
        }
    )
    settled = judged.withColumn(names.REASON, _verdict_fault()).withColumns(
        {
            names.DETAIL: _verdict_detail(),
            names.LENGTH: F.lit(None).cast("long"),
            names.SOURCE_URI: F.coalesce(
                F.concat(F.lit(root.rstrip("/") + "/"), KEY), FILE, F.lit(root.rstrip("/") + "/")
            ),
        }
    )
    rejected = settled.where(F.col(names.REASON).isNotNull())
    return settled.where(F.col(names.REASON).isNull()), rejected.select(
        *reject_columns(names.KIND_VERDICT)
    )


def reject_columns(kind: str) -> list[Column]:
    """The columns of ``rejects`` that ingest fills in."""
    return [
        F.col(names.SOURCE_URI),
        F.lit(kind).alias(names.KIND),
        F.col(names.REASON),
        F.col(names.DETAIL),
        F.col(names.LENGTH),
        F.col(names.CAPTURE_DATE),
    ]


def _disagreement(opinion: Column, per_image: WindowSpec) -> Column:
    """Whether operators said different things, now or in an earlier run."""
    verdicts = F.size(F.collect_set(opinion).over(per_image))
    operators = F.size(
        F.collect_set(F.when(opinion.isNotNull(), F.col(names.OPERATOR_ID))).over(per_image)
    )
    earlier = F.coalesce(F.max(names.OPERATORS_DISAGREE).over(per_image), F.lit(False))
    return ((verdicts > 1) & (operators > 1)) | earlier


def _verdict_fault() -> Column:
    contradicted = F.col("current") & F.col(names.VERDICT).isNotNull() & (F.col("opinions") > 1)
    return (
        F.when(F.col(FAULT).isNotNull(), F.coalesce(FAULT_REASON, F.lit(names.VERDICT_UNREADABLE)))
        .when(
            F.col(names.IMAGE_ID).isNull() | F.col(_IMAGE_FAULT).isNotNull(),
            names.VERDICT_WITHOUT_IMAGE,
        )
        .when(F.col(_LATE), names.CAPTURE_TIME_IN_FUTURE)
        .when(F.col(_CAPTURED_FAULT).isNotNull(), names.CAPTURE_TIME_UNREADABLE)
        .when(F.col(_VERIFIED_FAULT).isNotNull(), names.VERIFIED_AT_UNREADABLE)
        .when(~F.col("known"), names.VERDICT_UNKNOWN)
        .when(contradicted, names.VERDICT_CONFLICT)
        .when(F.col("place") > 1, names.VERDICT_SUPERSEDED)
    )


def _verdict_detail() -> Column:
    fault = F.col(_IMAGE_FAULT)
    taken = F.date_format(names.CAPTURED_AT, "yyyy-MM-dd'T'HH:mm:ssX")
    said = F.concat_ws(" ", names.VERDICT, F.concat(F.lit("by "), names.OPERATOR_ID))
    placed = F.concat(
        F.lit("no image of board "), names.BOARD_ID, F.lit(" and position "), F.col(names.POSITION)
    )
    return (
        F.when(F.col(FAULT).isNotNull(), F.concat_ws(": ", FILE, FAULT))
        .when(
            F.col(names.REASON) == names.CAPTURE_TIME_IN_FUTURE,
            F.concat(F.lit("captured at "), taken),
        )
        .when(F.col(names.REASON) == names.CAPTURE_TIME_UNREADABLE, F.col(_CAPTURED_FAULT))
        .when(F.col(names.REASON) == names.VERIFIED_AT_UNREADABLE, F.col(_VERIFIED_FAULT))
        .when(
            F.col(names.REASON) == names.VERDICT_UNKNOWN,
            F.concat(F.lit("got "), F.col(names.VERDICT)),
        )
        .when(
            F.col(names.REASON) == names.VERDICT_CONFLICT, F.concat(F.lit("one of several: "), said)
        )
        .when(fault.isNotNull(), F.concat(F.lit("its image was rejected: "), fault))
        .when(F.col(KEY).isNull(), F.coalesce(placed, F.lit("its row names no image")))
        .when(F.col(names.REASON) == names.VERDICT_WITHOUT_IMAGE, F.lit("no such file in the drop"))
        .when(
            F.col(names.REASON).isNotNull(),
            F.concat_ws(": ", F.lit("another row for this image counts"), said),
        )
    )
