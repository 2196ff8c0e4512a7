"""The ingest job: a camera drop becomes ``images``, ``verdicts`` and ``rejects``.

From a store Spark's file stream brings new files in micro-batches and remembers them in its
checkpoint. It knows files by their names only and opens none without a byte; so each run also looks
at the whole listing for what differs from the ledger. That makes the checkpoint a matter of speed:
without it every file is opened again, and none is taken in twice. On a local disk there is no
stream: it would follow symbolic links, in a circle for ever, and the listing costs less.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.ingest import readability
from pcb_spark.ingest.drop import Drop
from pcb_spark.ingest.intake import Intake
from pcb_spark.ingest.latecomers import attach
from pcb_spark.ingest.places import reading
from pcb_spark.lake import exchange, tables
from pcb_spark.lake.catalogue import IMAGES, REJECTS
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.lake.run import Counts, close_books, few_shuffle_partitions, writing
from pcb_spark.pipeline import logs
from pcb_spark.pipeline.job import Job, required

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.query import StreamingQuery

    from pcb_spark.ingest.readability import Readability

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


def run_ingest(job: Job, *, refusing: bool = True) -> Counts:
    """Take in what is new in the camera drop, and end.

    Raises
    ------
    InputError : no image can be used; or, once all that can be is taken in and unless ``refusing``
        is false, more than half of the images or of the verdict rows can't be read.
    """
    began = time.monotonic()
    with (
        logs.progress(job.spark, "ingest"),
        few_shuffle_partitions(job.spark),
        _intake(job) as intake,
    ):
        with reading(job.config.paths.drop):
            query = _start(intake, once=True)
            _await(query, intake, threading.Event())
            intake.look()
        _refuse_nothing(intake)
        counts = _settle(intake, began)[0]
        if refusing:
            intake.refuse_unreadable()
            readability.refuse(_readability(intake), intake.drop.root)
        return counts


def run_ingest_continuously(job: Job) -> Counts:
    """Take in what arrives until SIGTERM or SIGINT, and finish what was begun."""
    total, verdicts = Counts(rows_in=0, rows_out=0, rows_rejected=0), None
    with (
        _stop_signals() as stop,
        few_shuffle_partitions(job.spark),
        _intake(job) as intake,
        reading(job.config.paths.drop),
    ):
        query = _start(intake, once=False)
        log.info("ingest: waiting for files below %s", intake.drop.root)
        try:
            while not stop.is_set():
                began = time.monotonic()
                _await(query, intake, stop, seconds=job.config.ingest.look_seconds)
                if not _make_way(intake, stop):
                    break
                intake.refresh()
                intake.look()
                images, verdicts = _settle(intake, began, booked=verdicts)
                total = _sum(total, images)
                warn_of_unread(intake)
        finally:
            _end(query, intake)
    return total


def _settle(intake: Intake, began: float, booked: Counts | None = None) -> tuple[Counts, Counts]:
    """Bring the tables up to date with what came late, and close the books of this pass.

    Where nothing came, and the verdicts are those ``booked`` last, there is nothing to close. The
    answer is the books of images and of verdicts.
    """
    passed_over = [f"ingest: {line}" for line in intake.passed_over()]
    for line in passed_over:
        log.info(line)
    intake.run.notes[:] = passed_over
    with writing(intake.run):
        verdicts = attach(intake)
    images = intake.take_books()
    if images.rows_in or verdicts != booked:
        counts = {names.KIND_IMAGE: images, names.KIND_VERDICT: verdicts}
        close_books(intake.run, "ingest", counts, intake.drop.root, began)
    return images, verdicts


def _readability(intake: Intake) -> list[Readability]:
    return [intake.images_read(), intake.verdicts_read]


def warn_of_unread(intake: Intake) -> None:
    """Say where most of the drop can't be read; the service goes on with the rest."""
    for found in _readability(intake):
        if found.is_mostly_unread:
            log.warning("ingest: %s; pcb-spark preview says what to set", found)


def _make_way(intake: Intake, stop: threading.Event) -> bool:
    """Pause between two micro-batches where a job asked for it; False where it's time to end."""
    run, lease = intake.run, intake.run.lease
    if lease is None or not lease.asked.is_set():
        return True
    with intake.lock:
        if not lease.make_way(stop):
            return False
        exchange.mend(run.spark, lease.out, lease.holder.claim, run_id=run.run_id, beside=lease)
        return True


@contextlib.contextmanager
def _intake(job: Job) -> Iterator[Intake]:
    """Open the drop and put right what an earlier run left unfinished."""
    drop = required(job.config.paths.drop, "paths.drop")
    store = ImageStore(job.spark, job.config.paths.out, job.lease)
    with writing(job):
        store.recover()
    with reading(job.config.paths.drop):
        root = tables.qualified(job.spark, drop)
        intake = Intake(job, Drop(job.spark, job.config.ingest, root), store)
    try:
        yield intake
    finally:
        intake.close()


def _start(intake: Intake, *, once: bool) -> StreamingQuery | None:
    """Start the stream of a store; a drop on a disk has none."""
    if intake.drop.is_on_disk:
        return None
    wanted = intake.drop.settings
    checkpoint = wanted.checkpoint or tables.locate(intake.run.out, "checkpoints/ingest")
    stream = intake.drop.stream().writeStream.option("checkpointLocation", checkpoint)

    def receive(files: DataFrame, _: int) -> None:
        intake.receive(files)

    writer = stream.foreachBatch(receive)
    if once:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=f"{wanted.trigger_seconds} seconds").start()


def _await(
    query: StreamingQuery | None,
    intake: Intake,
    stop: threading.Event,
    *,
    seconds: float | None = None,
) -> None:
    """Wait for the stream's end, ``seconds`` or a signal; raise what went wrong.

    Without a stream, new files are asked for as often as it would ask.
    """
    every = intake.drop.settings.trigger_seconds
    began = time.monotonic()
    ask_at = began
    while not _ended(query, stop, once=seconds is None):
        now = time.monotonic()
        if query is None and now >= ask_at:
            ask_at = now if intake.take_new() else now + every
        if intake.fault or stop.is_set() or (seconds is not None and now > began + seconds):
            break
        if intake.run.lease is not None and intake.run.lease.asked.is_set():
            break
    if intake.fault is not None:
        raise intake.fault


def _ended(query: StreamingQuery | None, stop: threading.Event, *, once: bool) -> bool:
    """Wait for a moment, and say whether there is nothing more to wait for."""
    if query is None:
        return once or stop.wait(_POLL_SECONDS)
    return bool(query.awaitTermination(_POLL_SECONDS))  # type: ignore[arg-type]


def _end(query: StreamingQuery | None, intake: Intake) -> None:
    """Stop the stream once the micro-batch in work is done; one that begins now is left alone."""
    with intake.lock:
        intake.closed = True
    if query is not None:
        query.stop()


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Set the event on SIGTERM and SIGINT, in place of what they do otherwise."""
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_nothing(intake: Intake) -> None:
    """Stop where no image came in, now or ever.

    Raises
    ------
    InputError : there is none, or none that can be used.
    """
    run = intake.run
    if tables.exists(run.spark, run.table(IMAGES)):
        return
    found = intake.images_read()
    if found.rows == 0:
        passed_over = "; ".join(intake.passed_over())
        raise InputError(
            f"no images in {intake.drop.root}",
            expected="JPEG, PNG, TIFF, BMP or WebP files",
            got=passed_over or None,
            hint="correct paths.drop, or ingest.images",
        )
    raise InputError(
        f"none of the {found.rows} images of the drop can be used",
        got=readability.counted(found.reasons),
        hint=f"pcb-spark preview says what to set; {run.table(REJECTS)} has the reason for each",
    )


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(
        rows_in=one.rows_in + other.rows_in,
        rows_out=one.rows_out + other.rows_out,
        rows_rejected=one.rows_rejected + other.rows_rejected,
    )
