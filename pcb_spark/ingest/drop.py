"""What lies in a camera drop: its files by listing and by stream, references, and verdict files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from pcb_spark.ingest import (
    habits,
    image_files,
    reference_windows,
    stored_verdicts,
    verdict_files,
    verdict_paths,
    verdicts,
    window_files,
)
from pcb_spark.ingest.drop_files import DropFiles
from pcb_spark.ingest.places import OnStore
from pcb_spark.lake import filesystem, tables
from pcb_spark.lake.tables import cached

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pcb_spark.core import times
    from pcb_spark.core.layouts import Layout
    from pcb_spark.ingest.listing import Listed
    from pcb_spark.ingest.settings import IngestConfig
    from pcb_spark.ingest.verdict_form import Form


@dataclass(frozen=True)
class Drop:
    """A camera drop below ``root``, a qualified URI."""

    spark: SparkSession
    settings: IngestConfig
    root: str

    @cached_property
    def files(self) -> DropFiles:
        """What lies in it."""
        return DropFiles(self.settings, self.root, OnStore(self.spark))

    @cached_property
    def is_on_disk(self) -> bool:
        """Whether Python can list its images: they lie on this machine's disks."""
        return filesystem.local_path(self.spark, self.files.images_folder) is not None

    @cached_property
    def layout(self) -> Layout:
        """How its files are named."""
        return habits.layout(self.settings)

    @cached_property
    def times(self) -> times.Reader:
        """How its tables write times."""
        return habits.times(self.settings)

    def latest(self) -> datetime:
        """After this moment of now a time lies in the future."""
        return habits.latest(self.settings)

    @cached_property
    def form(self) -> Form:
        """How its verdict files are written."""
        return habits.form(self.settings)

    def stream(self) -> DataFrame:
        """Image files and sidecars as they arrive at a store, as a streaming DataFrame."""
        wanted = self.settings
        reader = self.spark.readStream.format("binaryFile").schema(image_files.FILES_READ)
        reader = reader.option("maxFilesPerTrigger", wanted.files_per_batch)
        # Files that are older than the newest one by more than this would be passed over for ever.
        reader = reader.option("maxFileAge", "3650d")
        files: DataFrame = self._readable(reader).load(self.files.images_folder)
        return files.where(self.files.wanted(F.col("path")))

    def list_paths(self) -> DataFrame:
        """``image_id`` and ``path`` of what ``list_images`` finds."""
        root = len(self.root.rstrip("/")) + 1
        paths = [(file.uri[root:],) for file in self.files.list_images()]
        rows = self.spark.createDataFrame(paths, f"{verdict_paths.PATH} string")
        return verdict_paths.files(rows)

    def forget(self) -> None:
        """Forget what was passed over, before the next look."""
        self.files.links.clear()
        self.files.unread.clear()

    def open_files(self, files: Sequence[Listed]) -> DataFrame:
        """Read files of a listing; what can't be opened is missing from the answer."""
        uris = [verdict_files.escaped(file.uri) for file in files if file.length]
        if not uris:
            return self.spark.createDataFrame([], image_files.FILES_READ)
        found: DataFrame = self._readable(self.spark.read.format("binaryFile")).load(uris)
        return found

    def inspect(self, files: DataFrame) -> DataFrame:
        """Open every image file once."""
        return image_files.inspect_files(
            files,
            root=self.root,
            max_pixels=self.settings.max_pixels,
            bit_depth=self.settings.bit_depth,
            layout=self.layout,
        )

    def references(self, caches: contextlib.ExitStack) -> DataFrame:
        """The golden images, opened, and kept on disk until ``caches`` closes."""
        listed = self.files.list_references()
        inspected = self.inspect(self.open_files(listed))
        empty = [
            (file.uri[len(self.root.rstrip("/")) + 1 :], 0, file.modified_at)
            for file in listed
            if not file.length
        ]
        unopened = image_files.unopened(self.spark, empty, self.layout)
        return cached(inspected.unionByName(unopened), caches)

    def resolve(
        self, images: DataFrame, references: DataFrame
    ) -> tuple[DataFrame, list[DataFrame]]:
        """Images with the reference that is theirs, and rejects of those that don't fit."""
        wanted = self.settings
        name = wanted.reference_windows
        uri = self.files.place(name) or tables.locate(self.root, name)
        found = reference_windows.choose(
            images, references, self._windows(uri, references),
            where=uri, root=self.root, tolerance=wanted.reference_size_tolerance,
        )  # fmt: skip
        return found.images, [found.rejects]

    def _windows(self, uri: str, references: DataFrame) -> DataFrame | None:
        """Which references are good when; None where the drop doesn't say."""
        if not tables.exists(self.spark, uri):
            return None
        content = filesystem.read_whole(self.spark, uri)
        found = window_files.parse(content, self.form, where=uri)
        fields = [StructField(name, StringType()) for name in found.columns]
        raw = self.spark.createDataFrame(found.rows, StructType(fields))
        windows = reference_windows.read_windows(raw, uri, reader=self.times)
        golden = verdict_paths.files(references, verdicts.KEY)
        return verdict_paths.lead_back(windows, verdicts.REFERENCE_KEY, golden, root=self.root)

    def manifest(self) -> DataFrame:
        """The rows of manifests, then those of verdict files and of the review page."""
        rows = verdict_files.read(self.spark, self.files.list_tables(), self.form)
        if self.settings.verdict_store:
            stored = stored_verdicts.read(self.spark, self.settings.verdict_store)
            rows = rows.unionByName(stored)
        return self._in_our_words(rows)

    def sidecars(self, kept: DataFrame) -> DataFrame:
        """The rows of sidecars that are kept in their table."""
        return self._in_our_words(verdict_files.of_sidecars(kept, root=self.root, form=self.form))

    def _in_our_words(self, rows: DataFrame) -> DataFrame:
        return verdicts.read_manifest(
            rows, reader=self.times, latest=self.latest(), words=self.settings.verdict_words
        )

    def _readable(self, reader: Any) -> Any:
        """Leave out what vanished or can't be read; the listing shows that it is missing."""
        options = filesystem.NO_CHECKSUMS | {
            "ignoreMissingFiles": "true", "ignoreCorruptFiles": "true",
        }  # fmt: skip
        return reader.options(recursiveFileLookup="true", **options)
