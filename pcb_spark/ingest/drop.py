"""What lies in a camera drop: its files by listing and by stream, references, and verdict files."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.ingest import (
    image_files,
    reference_windows,
    times,
    verdict_files,
    verdict_paths,
    verdicts,
)
from pcb_spark.ingest.layouts import Layout
from pcb_spark.ingest.verdict_form import Form
from pcb_spark.lake import filesystem, tables
from pcb_spark.lake.tables import cached

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pcb_spark.ingest.settings import IngestConfig

_PICTURES = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)(\.json)?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = re.compile(
    r"path=((?:(?!; isDirectory=).)*); isDirectory=false; length=(\d+);"
    r" .*?modification_time=(\d+);",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a listing: its qualified URI, its size in bytes, when it was last written."""

    uri: str
    length: int
    modified_at: datetime


@dataclass(frozen=True)
class Drop:
    """A camera drop below ``root``, a qualified URI."""

    spark: SparkSession
    settings: IngestConfig
    root: str

    @cached_property
    def layout(self) -> Layout:
        """How its files are named."""
        wanted = self.settings
        return Layout(
            pattern=wanted.pattern, time_format=wanted.time_format,
            timezone=wanted.timezone, earliest=wanted.earliest,
        )  # fmt: skip

    @cached_property
    def times(self) -> times.Reader:
        """How its tables write times."""
        wanted = self.settings
        return times.Reader(
            timezone=wanted.timezone, formats=wanted.verdict_time_format, earliest=wanted.earliest
        )

    def latest(self) -> datetime:
        """After this moment of now a time lies in the future."""
        tolerance = self.settings.future_tolerance_minutes
        return datetime.now(UTC) + timedelta(minutes=tolerance)

    @cached_property
    def form(self) -> Form:
        """How its verdict files are written."""
        wanted = self.settings
        return Form(
            columns=wanted.verdict_columns,
            separator=wanted.verdict_separator,
            encoding=wanted.verdict_encoding,
        )

    def stream(self) -> DataFrame:
        """Image files and sidecars as they arrive, as a streaming DataFrame."""
        wanted = self.settings
        reader = self.spark.readStream.format("binaryFile").schema(image_files.FILES_READ)
        reader = reader.option("maxFilesPerTrigger", wanted.files_per_batch)
        # Files that are older than the newest one by more than this would be passed over for ever.
        reader = reader.option("maxFileAge", "3650d")
        files: DataFrame = self._readable(reader).load(self._images_folder)
        return files.where(self._wanted(F.col("path")))

    def list_images(self) -> list[Listed]:
        """Every image file and sidecar that lies there now, in one call to the JVM.

        Raises whatever Spark raises where the folder can't be listed.
        """
        found = self._list(self._images_folder)
        return [file for file in found if self._is_wanted(file.uri)]

    def list_paths(self) -> DataFrame:
        """``image_id`` and ``path`` of what ``list_images`` finds."""
        root = len(self.root.rstrip("/")) + 1
        paths = [(file.uri[root:],) for file in self.list_images()]
        rows = self.spark.createDataFrame(paths, f"{verdict_paths.PATH} string")
        return verdict_paths.files(rows)

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
            layout=self.layout,
        )

    def references(self, caches: contextlib.ExitStack) -> DataFrame:
        """The golden images, opened, and kept on disk until ``caches`` closes."""
        listed: list[Listed] = []
        if tables.exists(self.spark, self._references_folder):
            listed = self._list(self._references_folder)
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
        uri = tables.locate(self.root, wanted.reference_windows)
        found = reference_windows.choose(
            images, references, self._windows(uri),
            where=uri, root=self.root, tolerance=wanted.reference_size_tolerance,
        )  # fmt: skip
        return found.images, [found.rejects]

    def _windows(self, uri: str) -> DataFrame | None:
        """Which references are good when; None where the drop doesn't say."""
        if not tables.exists(self.spark, uri):
            return None
        raw = self.spark.read.csv(uri, header=True, multiLine=True, escape='"')
        return reference_windows.read_windows(raw, uri, reader=self.times)

    def manifest(self) -> DataFrame:
        """The rows of manifests, then those of verdict files."""
        wanted = self.settings
        found = [
            file for name in (*wanted.manifest, *wanted.verdicts) for file in self._match(name)
        ]
        rows = verdict_files.read(self.spark, list(dict.fromkeys(found)), self.form)
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
        options = {"ignoreMissingFiles": "true", "ignoreCorruptFiles": "true"}
        return reader.options(recursiveFileLookup="true", **options)

    @cached_property
    def _images_folder(self) -> str:
        folder = tables.locate(self.root, self.settings.images)
        return folder if tables.exists(self.spark, folder) else self.root

    @cached_property
    def _references_folder(self) -> str:
        return tables.locate(self.root, self.settings.references)

    def _wanted(self, path: Column) -> Column:
        if self._images_folder != self.root:
            return F.lit(True)
        return path.rlike(_PICTURES) & ~path.startswith(self._references_folder + "/")

    def _is_wanted(self, uri: str) -> bool:
        if self._images_folder != self.root:
            return True
        below = uri.startswith(self._references_folder + "/")
        return re.search(_PICTURES, uri) is not None and not below

    def _list(self, folder: str) -> list[Listed]:
        reader = self.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
        found = reader.load(verdict_files.escaped(folder))._jdf.queryExecution().analyzed()
        text = found.relation().location().allFiles().mkString("\n")
        return [
            Listed(uri, int(length), _EPOCH + timedelta(milliseconds=int(moment)))
            for uri, length, moment in _STATUS.findall(text)
        ]

    def _match(self, name: str) -> list[tuple[str, int]]:
        """The files that a configured name stands for: itself, those in its folder, or a glob's."""
        store, path = filesystem.open_path(self.spark, tables.locate(self.root, name))
        found: list[tuple[str, int]] = []
        for status in store.globStatus(path) or ():
            if status.isDirectory():
                found += [
                    (file.uri, file.length) for file in self._list(status.getPath().toString())
                ]
            else:
                found.append((str(status.getPath().toString()), int(status.getLen())))
        return sorted(found)
