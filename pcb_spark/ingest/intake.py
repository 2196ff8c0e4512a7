"""What ingest does with files once it has them: each version of a file is taken in exactly once.

``absorb`` takes in a micro-batch. It asks the tables, not the checkpoint, what is there already, so
that a batch that comes again changes nothing. The order of its writes makes that safe at any
moment: first the images, then the rejects, last the ledger ``files``, without which a file counts
as not seen yet.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import PcbSparkError
from pcb_spark.core.layouts import SIDECAR, is_sidecar
from pcb_spark.ingest import image_files, ledger, verdict_paths, verdicts
from pcb_spark.ingest.listing import Listed, Settled
from pcb_spark.ingest.notes import Notes
from pcb_spark.ingest.paths import relative
from pcb_spark.ingest.readability import Readability
from pcb_spark.ingest.verdicts import KEY, REFERENCE_KEY
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FILES, SIDECARS
from pcb_spark.lake.run import Counts, writing
from pcb_spark.lake.tables import cached, computed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pcb_spark.ingest.drop import Drop
    from pcb_spark.lake.image_table import ImageStore
    from pcb_spark.lake.run import Run

log = logging.getLogger(__name__)

_CAME = "came"


@dataclass
class Intake:
    """One ingest into one set of tables; one thread at a time takes something in.

    Micro-batches after a ``fault``, and after ``closed`` is set, are left to the next run.
    """

    run: Run
    drop: Drop
    store: ImageStore
    books: Counter[str] = field(default_factory=Counter)
    waiting: Settled = field(default_factory=Settled)
    verdicts_read: Readability = field(default_factory=lambda: Readability(kind=names.KIND_VERDICT))
    fault: PcbSparkError | None = None
    closed: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.notes = Notes(self.run)
        self._listed: dict[str, Listed] = {}
        self._caches = contextlib.ExitStack()
        self.refresh()

    def close(self) -> None:
        """Let go of what is kept on disk."""
        self._caches.close()

    def refresh(self) -> None:
        """Read verdict files, manifests and references as they are now."""
        with self.lock:
            self._caches.close()
            self.drop.forget()
            self.references = self.drop.references(self._caches)
            told = computed(self.drop.manifest(), self._caches)
            self.manifest = self._with_golden(told)
            readings = verdict_paths.read(self.manifest, KEY, root=self.drop.root)
            self._readings = computed(readings, self._caches)
            self._listing = functools.cache(lambda: computed(self.drop.list_paths(), self._caches))

    def refuse_unreadable(self) -> None:
        """Stop where a verdict file doesn't say which images it speaks of."""
        verdicts.refuse_unreadable(self.manifest)

    def receive(self, files: DataFrame) -> None:
        """Absorb a micro-batch; a failure is kept in ``fault``, since py4j would print it.

        The stream then takes the batch for done. It isn't lost: the ledger doesn't have it, and the
        next look finds it.
        """
        with self.lock:
            if self.fault or self.closed:
                return
            try:
                with writing(self.run):
                    self.absorb(files)
            except PcbSparkError as error:
                self.fault = error

    def absorb(self, files: DataFrame) -> None:
        """Take in files as Spark's binaryFile source reads them, but those too young."""
        with self.lock, contextlib.ExitStack() as caches:
            young = timedelta(seconds=self.drop.settings.settle_seconds)
            settled = files.where(F.col("modificationTime") <= F.lit(datetime.now(UTC) - young))
            kept = cached(settled, caches)
            came = {is_sidecar(row["path"]) for row in kept.select("path").collect()}
            sidecar = F.col("path").rlike(SIDECAR)
            if True in came:
                self._keep_sidecars(kept.where(sidecar))
            if False in came:
                images = self.drop.inspect(kept.where(~sidecar))
                self._take_in(cached(images, caches), caches)

    def look(self) -> None:
        """Take in whatever the ledger doesn't have: changed and late files, failed ones again."""
        with self.lock:
            self.waiting = self.drop.files.settled_images()
            waiting = self._waiting(self.waiting.files)
            size = self.drop.settings.files_per_batch
            for first in range(0, len(waiting), size):
                self._open(waiting[first : first + size])
            self._listed = {file.uri: file for file in self.waiting.files}

    def take_new(self) -> bool:
        """Take in a batch of what wasn't there, or not as it is now, when the drop was listed last.

        Returns
        -------
        Whether there is more.
        """
        with self.lock:
            self.waiting = self.drop.files.settled_images()
            files, size = self.waiting.files, self.drop.settings.files_per_batch
            new = [file for file in files if self._listed.get(file.uri) != file]
            waiting = self._waiting(new[:size]) if new else []
            if waiting:
                self._open(waiting)
            later = {file.uri for file in new[size:]}
            self._listed = {file.uri: file for file in files if file.uri not in later}
            return bool(later)

    def take_books(self) -> Counts:
        """The books of images since the last call."""
        with self.lock:
            books, self.books = self.books, Counter()
        rejected = books[image_files.BAD]
        out = books[image_files.NEW] + books[image_files.SAME] + books[image_files.CHANGED]
        return Counts(rows_in=books[_CAME], rows_out=out, rows_rejected=rejected)

    def passed_over(self) -> list[str]:
        """What lies in the drop and wasn't taken in, as lines to read."""
        return [*self.drop.files.passed_over(), *self.waiting.lines()]

    def images_read(self) -> Readability:
        """What became of all the images that ever came."""
        counted = self.notes.ledger().groupBy(names.OUTCOME).count().collect()
        outcomes = Counter({row[names.OUTCOME]: row["count"] for row in counted})
        del outcomes[names.PRUNED]
        rows = outcomes.total()
        del outcomes[image_files.OK]
        return Readability(kind=names.KIND_IMAGE, rows=rows, reasons=outcomes)

    def told(self) -> DataFrame:
        """The rows of manifests and verdict files, then those of sidecars."""
        if not tables.exists(self.run.spark, self.run.table(SIDECARS)):
            return self.manifest
        newest = Window.partitionBy(names.SOURCE_URI).orderBy(F.desc(names.SEEN_AT))
        kept = self.notes.read(SIDECARS, schemas.SIDECARS).withColumn(
            "place", F.row_number().over(newest)
        )
        sidecars = self.drop.sidecars(kept.where("place = 1"))
        return self.manifest.unionByName(self._with_golden(sidecars))

    def located(self) -> DataFrame:
        """What is told, with the paths of the files that the ledger knows."""
        path = relative(self.drop.root, names.SOURCE_URI).alias(verdict_paths.PATH)
        known = self.notes.ledger().select(names.IMAGE_ID, path)
        return verdict_paths.correct(self.told(), KEY, self._readings, known)

    def _with_golden(self, told: DataFrame) -> DataFrame:
        """What is told, with the paths of the golden images that are there."""
        golden = verdict_paths.files(self.references, KEY)
        return verdict_paths.lead_back(told, REFERENCE_KEY, golden, root=self.drop.root)

    def _keep_sidecars(self, files: DataFrame) -> None:
        rows = files.select(
            F.col("path").alias(names.SOURCE_URI),
            F.sha2("content", 256).alias(names.CONTENT_SHA256),
            "content",
            F.lit(datetime.now(UTC)).alias(names.SEEN_AT),
        )
        key = [names.SOURCE_URI, names.CONTENT_SHA256]
        news = rows.join(self.notes.read(SIDECARS, schemas.SIDECARS), key, "left_anti")
        if not news.isEmpty():
            tables.append(news, self.run.table(SIDECARS), schemas.SIDECARS)

    def _open(self, files: Sequence[Listed]) -> None:
        """Open files of a listing; those that can't be opened become rejects too."""
        root = len(self.drop.root.rstrip("/")) + 1
        with writing(self.run), contextlib.ExitStack() as caches:
            found = cached(self.drop.open_files(files), caches)
            opened = {row["path"] for row in found.select("path").collect()}
            missing = [
                (file.uri[root:], file.length, file.modified_at)
                for file in files
                if file.uri not in opened and not is_sidecar(file.uri)
            ]
            if opened:
                self.absorb(found)
            if missing:
                unopened = image_files.unopened(self.run.spark, missing, self.drop.layout)
                self._take_in(unopened, caches)

    def _waiting(self, listed: Sequence[Listed]) -> list[Listed]:
        """The files of a listing whose present version the ledger doesn't have, or has to retry."""
        root = len(self.drop.root.rstrip("/")) + 1
        rows = [(f.uri[root:], f.uri, f.length, f.modified_at) for f in listed]
        files = self.run.spark.createDataFrame(
            rows, f"{KEY} string, uri string, {names.LENGTH} long, {names.MODIFIED_AT} timestamp"
        )
        waiting = ledger.waiting(
            files, self.notes.read(FILES, schemas.FILES),
            self.notes.read(SIDECARS, schemas.SIDECARS),
            run_id=self.run.run_id, now=datetime.now(UTC),
        )  # fmt: skip
        by_uri = {file.uri: file for file in listed}
        return [by_uri[row["uri"]] for row in waiting.collect()]

    def _take_in(self, inspected: DataFrame, caches: contextlib.ExitStack) -> None:
        """Write what became of inspected files: images, then rejects, then the ledger."""
        wanted = self.drop.settings
        keys = inspected.select(KEY)
        some = verdict_paths.files(keys, KEY)
        told = verdict_paths.correct_some(self.told(), KEY, self._readings, some, self._listing)
        told = computed(verdicts.traceability(told.join(keys, KEY, "left_semi")), caches)
        described = image_files.describe(
            inspected, told, root=self.drop.root, timezone=wanted.timezone,
            latest=self.drop.latest(),
        )  # fmt: skip
        pruned = ledger.pruned(self.notes.read(FILES, schemas.FILES))
        compared = image_files.compare(
            described, computed(self._existing(described), caches), pruned
        )
        judged = computed(compared.drop(image_files.CONTENT), caches)
        counted = judged.groupBy(image_files.STATE).count().collect()
        states = Counter({row[image_files.STATE]: row["count"] for row in counted})
        if not states:
            return
        self._write(compared, judged, states)
        self.notes.note(judged)
        left_out = states.pop(image_files.PRUNED, 0)
        if left_out:
            log.info("ingest: %d files were pruned once and stay out", left_out)
        self.books += Counter({_CAME: states.total()}) + states

    def _existing(self, described: DataFrame) -> DataFrame:
        """The rows that the table has of these images, looked for on the days where they can be."""
        usable = described.where(F.col(names.REASON).isNull())
        days = {row[0] for row in usable.select(names.CAPTURE_DATE).distinct().collect()}
        if tables.exists(self.run.spark, self.run.table(FILES)):
            noted = self.notes.read(FILES, schemas.FILES).join(
                described, names.IMAGE_ID, "left_semi"
            )
            days |= {row[0] for row in noted.select(names.CAPTURE_DATE).distinct().collect()}
            rows = self.store.read(days - {None})
        else:
            rows = self.store.read()
        ids = described.select(names.IMAGE_ID)
        found = rows.select(names.IMAGE_ID, names.CONTENT_SHA256, names.CAPTURE_DATE)
        return found.join(ids, names.IMAGE_ID, "left_semi")

    def _write(self, compared: DataFrame, judged: DataFrame, states: Counter[str]) -> None:
        state = F.col(image_files.STATE)
        if states[image_files.NEW]:
            states[image_files.NEW] = self.store.add(
                self._rows(compared.where(state == image_files.NEW))
            )
        if states[image_files.CHANGED]:
            changed = judged.where(state == image_files.CHANGED)
            rows = compared.where(state == image_files.CHANGED)
            days = {row[0] for row in changed.select(names.CAPTURE_DATE).collect()}
            days |= {
                day for row in changed.select(image_files.HAD_DATES).collect() for day in row[0]
            }
            self.store.revise(self._rows(rows), changed, days)
            log.info("ingest: %d images have new content", states[image_files.CHANGED])
        if states[image_files.BAD]:
            self.notes.reject(image_files.image_rejects(judged))

    def _rows(self, compared: DataFrame) -> DataFrame:
        images, _ = self.drop.resolve(compared, self.references)
        return image_files.image_rows(images, self.references, root=self.drop.root)
