"""Verified-good images become golden images: position by position, in the order of time, in Spark.

Every image goes once through the worker of its position, which holds the few most recent ones; a
night decodes what is new, and what the golden images that change were made of.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248
from pyspark.sql import Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from pcb_spark.core import images as pictures
from pcb_spark.core import names, sketches, validity
from pcb_spark.core.errors import ImageError
from pcb_spark.golden import places, views
from pcb_spark.golden.places import PLACE
from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.golden.settings import GoldenConfig
    from pcb_spark.golden.views import Made, Position

KNOWN_FROM: Final = "known_from"
#: What a row is of: a position, one of its views, an image of that, an image that is new.
_KIND: Final = "kind"
_POSITION, _VIEW, _HELD, _NEW = range(4)
_NTH: Final = "nth"
_CORRECTED: Final = "corrected"
_BOOKS: Final = (names.RUN_ID, names.MADE_AT)
_MADE: Final = StructType([f for f in schemas.GOLDENS.fields if f.name not in _BOOKS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """How golden images are made, as ``golden`` and ``ingest`` say; ``partitions`` is of Spark."""

    rule: GoldenConfig
    timezone: str
    max_pixels: int
    bit_depth: int
    partitions: int


def good_images(images: DataFrame, verdicts: DataFrame, maker: Maker) -> DataFrame:
    """Images that a person found good, with ``place`` and ``known_from``.

    ``known_from`` is the day after the image was taken and its verdict given: from then on a golden
    image may know it. What operators disagree about counts as not verified.
    """
    agreed = ~F.coalesce(names.OPERATORS_DISAGREE, F.lit(False))
    good = verdicts.where((F.col(names.VERDICT) == names.VERDICT_PASS) & agreed)
    verified = F.to_date(F.from_utc_timestamp(names.VERIFIED_AT, maker.timezone))
    placed = places.with_place(images.select(*_DESCRIBED), maker.rule)
    if maker.rule.since is not None:
        placed = placed.where(F.col(names.CAPTURE_DATE) >= F.lit(maker.rule.since))
    return (
        placed.where(F.col(PLACE).isNotNull())
        .join(good.select(names.IMAGE_ID, names.VERIFIED_AT), names.IMAGE_ID)
        .withColumn(KNOWN_FROM, F.date_add(F.greatest(names.CAPTURE_DATE, verified), 1))
        .drop(names.VERIFIED_AT)
    )


_DESCRIBED: Final = (
    names.IMAGE_ID, *places.COLUMNS, names.BOARD_ID, names.CAPTURED_AT, names.CAPTURE_DATE,
)  # fmt: skip


def plan(images: DataFrame, verdicts: DataFrame, before: DataFrame, maker: Maker) -> DataFrame:
    """Positions that have news, what is known of them, and their images, without the pictures.

    News are verified-good images that no row of ``before``, the table ``goldens``, tells of, and
    verdicts that are no longer ``pass``.
    """
    good = good_images(images, verdicts, maker)
    standing = before.drop(names.REFERENCE).withColumn(PLACE, F.to_json(F.struct(*places.COLUMNS)))
    taken = standing.select(PLACE, F.explode(names.TAKEN).alias(names.IMAGE_ID))
    new = good.join(taken, [PLACE, names.IMAGE_ID], "left_anti")
    newest = Window.partitionBy(PLACE, names.VIEW).orderBy(F.col(names.REVISION).desc())
    states = standing.withColumn(_NTH, F.row_number().over(newest)).where(F.col(_NTH) == 1)
    held = states.select(PLACE, names.VIEW, F.posexplode(names.GOLDEN_IMAGES))
    held = held.toDF(PLACE, names.VIEW, _NTH, names.IMAGE_ID)
    gone = _corrected(held, images, good)
    changed = new.select(PLACE).union(gone.select(PLACE)).distinct()
    highest = standing.groupBy(PLACE).agg(F.max(names.VIEW).alias(names.VIEW))
    known = (
        (_POSITION, highest),
        (_VIEW, _views(states, standing, gone)),
        (_HELD, held.join(good, [PLACE, names.IMAGE_ID])),
    )
    rows = new.withColumn(_KIND, F.lit(_NEW))
    for kind, each in known:
        told = each.join(changed, PLACE, "left_semi").withColumn(_KIND, F.lit(kind))
        rows = rows.unionByName(told, allowMissingColumns=True)
    return rows


def news(planned: DataFrame) -> int:
    """How many verified-good images are new in an answer of ``plan``."""
    return planned.where(F.col(_KIND) == _NEW).count()


def make(planned: DataFrame, images: DataFrame, maker: Maker) -> DataFrame:
    """What is new in ``goldens``, without the books.

    A golden image of which an image was corrected is made anew from the same day on.

    Parameters
    ----------
    planned : answer of ``plan``, best computed once.
    images : the table ``images``, of which the days are read that have any of these.
    """
    return _through_workers(_with_pixels(planned, images), maker)


def _corrected(held: DataFrame, images: DataFrame, good: DataFrame) -> DataFrame:
    """Views with an image that is there and isn't good any more; pruned ones did no wrong."""
    there = held.join(images.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")
    wrong = there.join(good.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    return wrong.select(PLACE, names.VIEW).distinct()


def _views(states: DataFrame, standing: DataFrame, gone: DataFrame) -> DataFrame:
    """Views that weren't given up, each with the sketch of its golden image."""
    made = standing.where(F.col(names.SKETCH).isNotNull())
    drawn = made.select(names.REFERENCE_SHA256, names.SKETCH).dropDuplicates(
        [names.REFERENCE_SHA256]
    )
    living = states.where(~F.col(names.REASON).eqNullSafe(views.GIVEN_UP)).select(
        PLACE, names.VIEW, names.REVISION, validity.VALID_FROM, names.REFERENCE_SHA256, names.SEEN,
        names.SEEN_WHEN_MADE,
    )  # fmt: skip
    corrected = gone.withColumn(_CORRECTED, F.lit(True))
    return living.join(drawn, names.REFERENCE_SHA256, "left").join(
        corrected, [PLACE, names.VIEW], "left"
    )


def _with_pixels(stream: DataFrame, images: DataFrame) -> DataFrame:
    wanted = stream.where(F.col(names.IMAGE_ID).isNotNull())
    days = [row[0] for row in wanted.select(names.CAPTURE_DATE).distinct().collect()]
    there = images.where(F.col(names.CAPTURE_DATE).isin(days)) if days else images.limit(0)
    return stream.join(there.select(names.IMAGE_ID, names.IMAGE), names.IMAGE_ID, "left")


def _through_workers(stream: DataFrame, maker: Maker) -> DataFrame:
    order = (PLACE, _KIND, names.VIEW, _NTH, KNOWN_FROM, names.CAPTURED_AT, names.IMAGE_ID)
    placed = stream.repartition(maker.partitions, PLACE).sortWithinPartitions(*order)
    columns = [PLACE, *(name for name in placed.columns if name not in (PLACE, *places.COLUMNS))]
    schema = StructType([_MADE[name] for name in _MADE.names if name not in places.COLUMNS])
    schema = StructType([*schema.fields]).add(PLACE, "string", False)
    made = placed.select(columns).mapInArrow(_worker(maker, schema), schema)
    told = F.from_json(PLACE, StructType([schemas.GOLDENS[name] for name in places.COLUMNS]))
    return made.withColumn(PLACE, told).select(
        *(F.col(PLACE)[name].alias(name) for name in places.COLUMNS),
        *(name for name in _MADE.names if name not in places.COLUMNS),
    )


def _worker(maker: Maker, schema: StructType) -> Any:
    wanted = to_arrow_schema(schema)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (row for batch in batches for row in batch.to_pylist())
        for place, own in itertools.groupby(rows, key=lambda row: row[PLACE]):
            for made in _of_place(own, maker):
                row = {**_columns(made), PLACE: place}
                yield pa.RecordBatch.from_pylist([row], schema=wanted)

    return work


def _of_place(rows: Iterable[dict[str, Any]], maker: Maker) -> Iterator[Made]:
    """Take the rows of one position through its views, day after day."""
    position, rest = _position(rows, maker)
    for _, day in itertools.groupby(rest, key=lambda row: row[KNOWN_FROM]):
        for row in day:
            with contextlib.suppress(ImageError):
                yield from position.add(_good(row, maker))
        yield from position.close_day()
    yield from position.close_day()
    yield from position.close()


def _position(
    rows: Iterable[dict[str, Any]], maker: Maker
) -> tuple[Position, Iterator[dict[str, Any]]]:
    """What the rows tell of earlier nights, and those that are new."""
    last, known, rows = 0, dict[int, views.View](), iter(rows)
    for row in rows:
        if row[_KIND] == _NEW:
            return views.Position(maker.rule, list(known.values()), last), itertools.chain(
                [row], rows
            )
        if row[_KIND] == _POSITION:
            last = row[names.VIEW]
        elif row[_KIND] == _VIEW:
            known[row[names.VIEW]] = _view(row)
        elif row[names.VIEW] in known and row[names.IMAGE] is not None:
            with contextlib.suppress(ImageError):
                known[row[names.VIEW]].images.append(_good(row, maker))
    return views.Position(maker.rule, list(known.values()), last), iter(())


def _view(row: dict[str, Any]) -> views.View:
    view = views.View(
        number=row[names.VIEW],
        revision=row[names.REVISION],
        seen=row[names.SEEN],
        seen_when_made=row[names.SEEN_WHEN_MADE],
        sha256=row[names.REFERENCE_SHA256],
        sketch=sketches.parse(row[names.SKETCH]) if row[names.SKETCH] else None,
        valid_from=row[validity.VALID_FROM],
    )
    if row[_CORRECTED]:
        view.forget()
    return view


def _good(row: dict[str, Any], maker: Maker) -> views.Good:
    pixels = pictures.decode(
        row[names.IMAGE], max_pixels=maker.max_pixels, bit_depth=maker.bit_depth
    )
    return views.Good(
        image_id=row[names.IMAGE_ID],
        board_id=row[names.BOARD_ID],
        captured_at=row[names.CAPTURED_AT],
        known_from=row[KNOWN_FROM],
        pixels=pixels,
    )


def _columns(made: Made) -> dict[str, Any]:
    """The row of ``goldens`` without its position."""
    return {
        names.VIEW: made.view,
        names.REVISION: made.revision,
        validity.VALID_FROM: made.valid_from,
        names.REFERENCE: made.png,
        names.REFERENCE_SHA256: made.sha256,
        names.SKETCH: made.sketch,
        names.GOLDEN_IMAGES: made.images,
        names.TAKEN: made.taken,
        names.SEEN: made.seen,
        names.SEEN_WHEN_MADE: made.seen_when_made,
        names.BOARDS: made.boards,
        names.FIRST_CAPTURED_AT: made.first_captured_at,
        names.LAST_CAPTURED_AT: made.last_captured_at,
        names.SPREAD: made.spread,
        names.REASON: made.reason,
    }
