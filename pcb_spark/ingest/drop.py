"""What lies in a camera drop: its files by listing and by stream, references, and verdict files."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.ingest import (
    image_files,
    listing,
    named_files,
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

    from pcb_spark.ingest.listing import Listed
    from pcb_spark.ingest.settings import IngestConfig

_PICTURES = r"(?i)\.(jpe?g|png|tiff?|bmp|webp)(\.json)?$"


@dataclass(frozen=True)
class Drop:
    """A camera drop below ``root``, a qualified URI.

    ``links`` are the symbolic links that were seen and not followed, ``unread`` the files that only
    their capitals keep from being read beside one that has the configured name.
    """

    spark: SparkSession
    settings: IngestConfig
    root: str
    links: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

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
        """Every image file and sidecar that lies there now.

        Raises whatever ``listing.list_files`` raises where the folder can't be listed.
        """
        found = self._list(self._images_folder)
        return [file for file in found if self._is_wanted(file.uri)]

    def list_paths(self) -> DataFrame:
        """``image_id`` and ``path`` of what ``list_images`` finds."""
        root = len(self.root.rstrip("/")) + 1
        paths = [(file.uri[root:],) for file in self.list_images()]
        rows = self.spark.createDataFrame(paths, f"{verdict_paths.PATH} string")
        return verdict_paths.files(rows)

    def settled_images(self) -> listing.Settled:
        """Those of them that are old enough to be whole, and how many wait."""
        seconds = self.settings.settle_seconds
        return listing.settled(self.list_images(), now=datetime.now(UTC), seconds=seconds)

    def linked(self, uris: Iterable[str]) -> set[str]:
        """Which of these images are reached by a link below their folder; notes the links."""
        local = filesystem.local_path(self.spark, self._images_folder)
        if local is None:
            return set()
        found = listing.linked(uris, root=self._images_folder.rstrip("/"), local=local)
        self.links.update(found.values())
        return set(found)

    def forget(self) -> None:
        """Forget what was passed over, before the next look."""
        self.links.clear()
        self.unread.clear()

    def passed_over(self) -> list[str]:
        """What was seen and not read, as lines to read."""
        kinds = {
            "symbolic links are not followed": self.links,
            "files are not read, others have their names in the capitals that are configured":
            self.unread,
        }  # fmt: skip
        root = len(self.root.rstrip("/")) + 1
        return [
            f"{len(uris)} {what}: {_some(sorted(uri[root:] for uri in uris))}"
            for what, uris in kinds.items()
            if uris
        ]

    def has_linked_folders(self) -> bool:
        """Whether a folder is linked below the images; Spark's stream would follow the link."""
        if filesystem.local_path(self.spark, self._images_folder) is None:
            return False
        return listing.list_files(self.spark, self._images_folder).folders_are_linked

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
        name = wanted.reference_windows
        uri = self._place(name) or tables.locate(self.root, name)
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
        options = filesystem.NO_CHECKSUMS | {
            "ignoreMissingFiles": "true", "ignoreCorruptFiles": "true",
        }  # fmt: skip
        return reader.options(recursiveFileLookup="true", **options)

    @cached_property
    def _images_folder(self) -> str:
        return self._place(self.settings.images) or self.root

    @cached_property
    def _references_folder(self) -> str:
        name = self.settings.references
        return self._place(name) or tables.locate(self.root, name)

    def _place(self, name: str) -> str | None:
        """The file or folder of a configured name, in other capitals where that one isn't there."""
        uri = tables.locate(self.root, name)
        if tables.exists(self.spark, uri):
            return uri
        found = named_files.find(self.spark, self.root, name).found
        return found[0].uri if len(found) == 1 else None

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
        found = listing.list_files(self.spark, folder)
        self.links.update(found.links)
        return found.files

    def _match(self, name: str) -> list[tuple[str, int]]:
        """The files that a configured name stands for: itself, those in its folder, or a glob's."""
        matches = named_files.find(self.spark, self.root, name)
        self.unread.update(other.uri for other in matches.others)
        found: list[tuple[str, int]] = []
        for named in matches.found:
            files = self._list(named.uri) if named.is_folder else [named]
            found += [(file.uri, file.length) for file in files]
        return sorted(found)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
