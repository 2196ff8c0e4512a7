"""Which golden image an image is compared with: one of earlier days, of what the image shows.

A golden image is good from the day after the last of its images was verified, until the next one of
its view. So whatever judges an image was made of earlier days only, in training as in production.
Of several views the one counts that looks most like the image. One that looks like none of them
isn't compared: its product is new at this position.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import images as pictures
from pcb_spark.core import names, sketches, validity
from pcb_spark.core.errors import ImageError
from pcb_spark.golden import places
from pcb_spark.golden.places import PLACE
from pcb_spark.lake import arrow, schemas

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import DataFrame

    from pcb_spark.golden.settings import GoldenConfig

_VIEWS: Final = "views"
_HANDED_OVER: Final = "handed_over"
_MISFIT: Final = "misfit"
#: An image is compared up to so many times ``golden.max_misfit``: a defect changes its looks.
_MOST: Final = 2.0
#: Images that are looked at for ``share_alike``.
_SAMPLE: Final = 500
_CHOSEN: Final = t.StructType([
    t.StructField(names.IMAGE_ID, t.StringType(), False),
    t.StructField(names.REFERENCE_SHA256, t.StringType(), False),
    t.StructField(_MISFIT, t.DoubleType(), True),
])  # fmt: skip


def windows(goldens: DataFrame) -> DataFrame:
    """From when until when each golden image is good: ``place``, hash, sketch, the two days.

    ``valid_until`` is the first day that has another one, null where there is none yet.
    """
    placed = goldens.withColumn(PLACE, F.to_json(F.struct(*places.COLUMNS)))
    made = F.col(names.SKETCH).isNotNull()
    turns = placed.where(made | F.col(names.REFERENCE_SHA256).isNull())
    after = Window.partitionBy(PLACE, names.VIEW).orderBy(names.REVISION)
    until = F.lead(validity.VALID_FROM).over(after)
    return (
        turns.withColumn(validity.VALID_UNTIL, until)
        .where(made)
        .select(
            PLACE, names.REFERENCE_SHA256, names.SKETCH, validity.VALID_FROM, validity.VALID_UNTIL
        )
    )  # fmt: skip


def choose(
    images: DataFrame,
    goldens: DataFrame,
    rule: GoldenConfig,
    *,
    pinned: bool,
    max_pixels: int,
    bit_depth: int,
) -> DataFrame:
    """Find the golden image of each image that has one: ``image_id``, ``reference_sha256``.

    Parameters
    ----------
    images : rows of the table ``images``.
    pinned : whether an image keeps the reference that was handed over for it, and needs none.
    """
    placed = places.with_place(images.select(*_DESCRIBED), rule)
    if pinned:
        placed = placed.where(F.col(names.REFERENCE_SHA256).isNull())
    found = _compared(_offered(placed, windows(goldens)), images, max_pixels, bit_depth)
    alike = F.coalesce(F.col(_MISFIT) <= most_misfit(rule), F.lit(True))
    return found.where(alike).drop(_MISFIT)


_DESCRIBED: Final = (
    names.IMAGE_ID, *places.COLUMNS, names.CAPTURE_DATE, names.REFERENCE_SHA256,
)  # fmt: skip


def most_misfit(rule: GoldenConfig) -> float:
    """How little an image may look like a golden image that it is compared with."""
    return _MOST * rule.max_misfit


def good_from(goldens: DataFrame, day: date) -> DataFrame:
    """Golden images that judge images of a day or of later ones.

    Returns
    -------
    ``reference_sha256``, ``reference``, ``valid_from``, ``valid_until``, and where they belong.
    """
    told = F.from_json(PLACE, t.StructType([schemas.GOLDENS[name] for name in places.COLUMNS]))
    until = F.col(validity.VALID_UNTIL)
    good = windows(goldens).where(until.isNull() | (until > F.lit(day)))
    files = goldens.where(F.col(names.REFERENCE).isNotNull()).select(
        names.REFERENCE_SHA256, names.REFERENCE
    )
    return (
        good.withColumn(PLACE, told)
        .join(files.dropDuplicates([names.REFERENCE_SHA256]), names.REFERENCE_SHA256)
        .select(
            names.REFERENCE_SHA256, names.REFERENCE, validity.VALID_FROM, validity.VALID_UNTIL,
            *(F.col(PLACE)[name].alias(name) for name in places.COLUMNS),
        )
    )  # fmt: skip


def share_alike(
    images: DataFrame,
    goldens: DataFrame,
    rule: GoldenConfig,
    *,
    pinned: bool,
    max_pixels: int,
    bit_depth: int,
) -> float:
    """Share of the images of the later half of the days that look like a golden image of theirs.

    The earlier half is where a line has to begin without. A sample is looked at; parameters are
    those of ``choose``, and a pinned reference counts as alike.
    """
    days = [row[0] for row in images.select(names.CAPTURE_DATE).distinct().collect()]
    later = F.col(names.CAPTURE_DATE) >= F.lit(sorted(days)[len(days) // 2])
    placed = places.with_place(images.where(later).select(*_DESCRIBED), rule)
    sample = placed.orderBy(F.xxhash64(names.IMAGE_ID)).limit(_SAMPLE)
    without = sample.where(F.col(names.REFERENCE_SHA256).isNull()) if pinned else sample
    found = _compared(_offered(without, windows(goldens)), images, max_pixels, bit_depth)
    total = sample.count()
    alike = total - without.count() + found.where(F.col(_MISFIT) <= rule.max_misfit).count()
    return alike / total


def current(
    made: DataFrame, images: DataFrame, goldens: DataFrame, rule: GoldenConfig, *, pinned: bool
) -> DataFrame:
    """Keep rows of ``features`` made from what ``images`` holds and golden images that still count.

    Parameters
    ----------
    made : rows of the table ``features``.
    """
    placed = places.with_place(images.select(*_DESCRIBED, names.CONTENT_SHA256), rule)
    own = placed.where(F.col(names.REFERENCE_SHA256).isNull()) if pinned else placed
    good = _valid(own.drop(names.REFERENCE_SHA256), windows(goldens))
    same = (names.IMAGE_ID, names.CONTENT_SHA256, names.REFERENCE_SHA256)
    allowed = good.select(*same)
    if pinned:
        allowed = allowed.unionByName(
            placed.where(F.col(names.REFERENCE_SHA256).isNotNull()).select(*same)
        )
    return made.join(allowed, list(same), "left_semi")


def _compared(offered: DataFrame, images: DataFrame, max_pixels: int, bit_depth: int) -> DataFrame:
    """The view that each image looks most like, and how little it does."""
    seen = offered.join(images.select(names.IMAGE_ID, names.IMAGE), names.IMAGE_ID)
    look = functools.partial(_nearest, max_pixels=max_pixels, bit_depth=bit_depth)
    return arrow.map_rows(seen.select(names.IMAGE_ID, names.IMAGE, _VIEWS), look, _CHOSEN)


def _valid(placed: DataFrame, found: DataFrame) -> DataFrame:
    """Each image beside every golden image that is good on its day."""
    day = F.col(names.CAPTURE_DATE)
    until = F.coalesce(day < F.col(validity.VALID_UNTIL), F.lit(True))
    return placed.join(found, PLACE).where((day >= F.col(validity.VALID_FROM)) & until)


def _offered(placed: DataFrame, found: DataFrame) -> DataFrame:
    """Images with the ``views`` that they may be compared with, one at least."""
    days = placed.where(F.col(PLACE).isNotNull()).select(PLACE, names.CAPTURE_DATE).distinct()
    view = F.struct(names.REFERENCE_SHA256, names.SKETCH)
    good = _valid(days, found).groupBy(PLACE, names.CAPTURE_DATE)
    offered = good.agg(F.array_sort(F.collect_list(view)).alias(_VIEWS))
    return placed.drop(names.REFERENCE_SHA256).join(offered, [PLACE, names.CAPTURE_DATE])


def attach(images: DataFrame, chosen: DataFrame, goldens: DataFrame, *, pinned: bool) -> DataFrame:
    """Put golden images in the place of references; null where there is none.

    Parameters
    ----------
    chosen : answer of ``choose``.
    pinned : whether a reference that was handed over stays.
    """
    kept = (names.REFERENCE, names.REFERENCE_URI, names.REFERENCE_SHA256)
    files = goldens.where(F.col(names.REFERENCE).isNotNull()).select(
        names.REFERENCE_SHA256, names.REFERENCE
    )
    own = chosen.join(files.dropDuplicates([names.REFERENCE_SHA256]), names.REFERENCE_SHA256)
    handed = images.withColumn(_HANDED_OVER, F.struct(*kept)).drop(*kept)
    joined = handed.join(own, names.IMAGE_ID, "left")
    place = F.concat(F.lit("goldens/"), F.col(names.REFERENCE_SHA256))
    before = [F.col(_HANDED_OVER)[name] if pinned else F.lit(None) for name in kept]
    now = [F.col(names.REFERENCE), place, F.col(names.REFERENCE_SHA256)]
    columns = {name: F.coalesce(new, old) for name, new, old in zip(kept, now, before, strict=True)}
    return joined.withColumns(columns).select(schemas.IMAGES.names)


def _nearest(row: dict[str, Any], *, max_pixels: int, bit_depth: int) -> Iterable[Sequence[Any]]:
    """The view that an image looks most like; one that can't be read is told so further on."""
    offered = row[_VIEWS]
    try:
        pixels = pictures.decode(row[names.IMAGE], max_pixels=max_pixels, bit_depth=bit_depth)
    except ImageError:
        return [(row[names.IMAGE_ID], offered[0][names.REFERENCE_SHA256], None)]
    own = sketches.sketch(pixels)
    apart = [sketches.misfit(own, sketches.parse(view[names.SKETCH])) for view in offered]
    best = offered[apart.index(min(apart))]
    return [(row[names.IMAGE_ID], best[names.REFERENCE_SHA256], min(apart))]
