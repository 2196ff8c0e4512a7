"""The review-queue job: what is left for people goes into a folder that the review page reads."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import durable, names, policy
from pcb_spark.core.errors import InputError, PcbSparkError
from pcb_spark.core.pairs import Reading
from pcb_spark.core.pictures import PictureMaker
from pcb_spark.lake import arrow, schemas, session, tables
from pcb_spark.lake.catalogue import BUNDLE, IMAGES, SCORES
from pcb_spark.lake.run import Counts, close_books
from pcb_spark.network import pooled
from pcb_spark.pipeline import approval, edge_decisions, logs, references
from pcb_spark.pipeline.artifacts import read_bundle, read_verdicts
from pcb_spark.pipeline.registry import open_registry
from pcb_spark.review import items

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from pcb_spark.core.bundle import Bundle
    from pcb_spark.core.pictures import Made
    from pcb_spark.pipeline.job import Job

log = logging.getLogger(__name__)

_KNOWN: Final = "known_defect"
_PLACE: Final = "place"
_FILES: Final = (*items.PICTURES, items.ORIGINAL)
_MADE: Final = t.StructType([
    t.StructField(names.IMAGE_ID, t.StringType()),
    *(t.StructField(which, t.BinaryType()) for which in _FILES),
    t.StructField(_PLACE, t.StringType()),
])  # fmt: skip
#: Images that an executor's Python holds at a time.
_AT_ONCE: Final = 16
_RECORDS: Final = "spark.sql.execution.arrow.maxRecordsPerBatch"


#: What is read of a score, or of an edge machine's decision.
_SCORE: Final = (
    *schemas.TRACEABILITY, names.PROBABILITY, names.THRESHOLD, names.DECISION, names.REVIEW,
    names.MODEL_VERSION,
)  # fmt: skip


def run_review_queue(
    job: Job,
    *,
    to: Path,
    known_defects: int = 0,
    again: bool = False,
    decisions: str | None = None,
) -> Counts:
    """Write what operators have to look at into a new folder below ``to``.

    Parameters
    ----------
    decisions : a folder of what edge machines decided, of images that no job here has scored.
    known_defects : so many true defects go with them, to be mixed in.
    again : images that have a verdict already, too.

    Raises
    ------
    InputError : there are no scores or decisions, or ``to`` can't be written.
    """
    began = time.monotonic()
    scores = _scores(job, decisions)
    verdicts = read_verdicts(job)
    there = _there(to)
    asked = scores.where(F.col(names.REVIEW).isNotNull())
    if not again:
        judged = verdicts.where(F.col(names.VERDICT).isNotNull())
        asked = asked.join(judged.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    wanted = asked.withColumn(_KNOWN, F.lit(False))
    if known_defects:
        images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
        others = images.join(asked.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
        wanted = wanted.unionByName(_known(others, verdicts, known_defects))
    found = _described(job, wanted, there)
    with logs.progress(job.spark, "review-queue"):
        written = _write(job, found, to) if found else []
    new = sum(not item.known_defect for item in written)
    job.notes.append(f"{new} images to review, {len(written) - new} known defects: {to}")
    counts = Counts(rows_in=len(found), rows_out=len(written), rows_rejected=0)
    close_books(job, "review-queue", {names.KIND_IMAGE: counts}, job.table(SCORES), began)
    return counts


def _scores(job: Job, decisions: str | None) -> DataFrame:
    """Scores, and of images that have none what edge machines decided."""
    if decisions is None:
        return tables.read(job.spark, job.table(SCORES), schemas.SCORES).select(*_SCORE)
    there = edge_decisions.take_in(job, decisions).select(*_SCORE)
    if not tables.exists(job.spark, job.table(SCORES)):
        return there
    scores = tables.read(job.spark, job.table(SCORES), schemas.SCORES).select(*_SCORE)
    new = there.join(scores.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
    return scores.unionByName(new)


def _there(to: Path) -> set[str]:
    """The items that lie in folders of before."""
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"{to} can't be written"
        raise InputError(what, got=error.strerror, hint="name another folder with --to") from None
    return {item.item_id for folder in items.folders(to) for item in items.read(folder)}


def _known(images: DataFrame, verdicts: DataFrame, count: int) -> DataFrame:
    """True defects that nobody contradicted, drawn by a hash of their ids.

    Whatever a model made of them, or none has: most of a plant's history is from before its gate.
    """
    agreed = verdicts.where(
        (F.col(names.VERDICT) == names.VERDICT_FAIL)
        & ~F.coalesce(names.OPERATORS_DISAGREE, F.lit(False))
    )
    drawn = images.join(agreed.select(names.IMAGE_ID), names.IMAGE_ID, "left_semi")
    ordered = drawn.orderBy(F.sha2(names.IMAGE_ID, 256)).limit(count)
    return ordered.select(
        *schemas.TRACEABILITY,
        *(F.lit(None).cast("double").alias(name) for name in (names.PROBABILITY, names.THRESHOLD)),
        F.lit(policy.FAIL).alias(names.DECISION),
        *(F.lit("").alias(name) for name in (names.REVIEW, names.MODEL_VERSION)),
        F.lit(True).alias(_KNOWN),
    )


def _described(job: Job, wanted: DataFrame, there: set[str]) -> dict[str, items.Item]:
    """Items by their image's id, without pictures; those that are there already are left out."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    hashes = images.select(names.IMAGE_ID, names.CONTENT_SHA256)
    rows = wanted.join(hashes, names.IMAGE_ID).collect()
    found = {row[names.IMAGE_ID]: _item(row) for row in rows}
    return {key: item for key, item in found.items() if item.item_id not in there}


def _item(row: Row) -> items.Item:
    probability, threshold = row[names.PROBABILITY], row[names.THRESHOLD]
    moment = row[names.CAPTURED_AT].astimezone(UTC)
    told = ("line", "lot", "board_id", "position", "part_number", "image_id", "source_uri")
    identity = items.item_id(row[names.IMAGE_ID], row[names.CONTENT_SHA256])
    return items.Item(
        item_id=f"{identity[:-1]}k" if row[_KNOWN] else identity,
        **{name: row[name] for name in told},
        captured_at=moment.isoformat(timespec="microseconds"),
        decision=row[names.DECISION], review=row[names.REVIEW] or "",
        certainty=0.0 if probability is None else abs(probability - threshold),
        model_version=row[names.MODEL_VERSION], known_defect=row[_KNOWN],
        pictures=items.Pictures(image="", reference=None, heat=None, width=0, height=0),
    )  # fmt: skip


def _write(job: Job, found: dict[str, items.Item], to: Path) -> list[items.Item]:
    folder = to / job.run_id
    folder.mkdir()
    written = []
    for row in _made(job, list(found)):
        item = found[row[names.IMAGE_ID]]
        files: dict[str, str] = {}
        for which in (each for each in _FILES if row[each]):
            suffix = PurePosixPath(item.source_uri).suffix if which == items.ORIGINAL else ".jpg"
            files[which] = f"{folder.name}/{item.item_id}-{which}{suffix}"
            (to / files[which]).write_bytes(row[which])
        pictures = items.Pictures(
            image=files[items.IMAGE], reference=files.get(items.REFERENCE),
            heat=files.get(items.HEAT), original=files.get(items.ORIGINAL),
            **json.loads(row[_PLACE]),
        )  # fmt: skip
        written.append(replace(item, pictures=pictures))
    durable.sync_folder(folder)
    items.write(folder, written)
    return written


def _made(job: Job, wanted: Sequence[str]) -> Iterator[Row]:
    """The pictures of images, made on the executors."""
    images = tables.read(job.spark, job.table(IMAGES), schemas.IMAGES)
    model = _model(job)
    reading = model.manifest.reading if model else Reading(difference=False)
    ids = job.spark.createDataFrame([(each,) for each in wanted], f"{names.IMAGE_ID} string")
    chosen = references.seen(job, images.join(F.broadcast(ids), names.IMAGE_ID), reading)
    sent = job.spark.sparkContext.broadcast(model)
    each = functools.partial(
        _pictures, model=sent, max_pixels=job.config.ingest.max_pixels,
        bit_depth=job.config.ingest.bit_depth,
    )  # fmt: skip
    rows = chosen.select(names.IMAGE_ID, names.IMAGE, names.REFERENCE)
    spread = rows.repartition(session.task_slots(job.spark), names.IMAGE_ID)
    before = job.spark.conf.get(_RECORDS) or _AT_ONCE
    job.spark.conf.set(_RECORDS, _AT_ONCE)
    try:
        with contextlib.ExitStack() as caches:
            # The iterator by itself would ask for one partition after the other.
            made = tables.cached(arrow.map_rows(spread, each, _MADE), caches)
            made.count()
            yield from made.toLocalIterator()
    finally:
        job.spark.conf.set(_RECORDS, before)
        sent.destroy()


def _model(job: Job) -> Bundle | None:
    """The model that scored: the bundle of this output, else the champion."""
    try:
        if tables.exists(job.spark, job.table(BUNDLE)):
            return read_bundle(job)
        return approval.champion(job, open_registry(job.config)).bundle
    except PcbSparkError as error:
        job.notes.append(f"no heat maps: {error.what}")
        return None


@functools.lru_cache(maxsize=1)
def _maker(model: Any, max_pixels: int, bit_depth: int) -> PictureMaker:
    mapper = pooled.mapper(model.value) if model.value else None
    return PictureMaker(mapper, max_pixels=max_pixels, bit_depth=bit_depth)


def _pictures(
    row: dict[str, Any], *, model: Any, max_pixels: int, bit_depth: int
) -> Iterable[Sequence[Any]]:
    maker = _maker(model, max_pixels, bit_depth)
    made = maker.make(row[names.IMAGE], row[names.REFERENCE])
    return [] if made is None else [_row(row[names.IMAGE_ID], made)]


def _row(image_id: str, made: Made) -> Sequence[Any]:
    told = asdict(made)
    files = [told.pop(which) for which in _FILES]
    return [image_id, *files, json.dumps(told)]
