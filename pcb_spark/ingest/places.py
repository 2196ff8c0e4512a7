"""Where the files of a drop lie: on this machine's disk, or on a store that Spark's JVM reaches."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from pcb_spark.core.errors import InputError
from pcb_spark.ingest import listing, named_files
from pcb_spark.lake import failures, filesystem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.ingest.listing import Listing
    from pcb_spark.ingest.named_files import Named


def reading(drop: str) -> contextlib.AbstractContextManager[None]:
    """Turn what a store says of a drop that can't be read into one error, as ``spark_failures``."""
    return failures.spark_failures(
        f"the drop {drop} can't be read",
        hint="correct paths.drop if it names another place; --verbose shows the whole failure",
    )


class Places(Protocol):
    """What can be asked of the files below qualified URIs."""

    def exists(self, uri: str) -> bool:
        """Say whether there is a file or folder."""
        ...

    def list_files(self, folder: str) -> Listing:
        """All files below a folder, but hidden ones."""
        ...

    def entries(self, folder: str) -> list[Named]:
        """What lies right below a folder; nothing where it can't be listed."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """The bytes of a file, for reading."""
        ...


class OnDisk:
    """A disk of this machine, in Python alone; URIs are ``file:`` and a path."""

    @staticmethod
    def qualified(path: str) -> str:
        """The URI of a path as Spark writes it."""
        plain = re.sub("^file:/*", "/", path)
        return f"file:{Path(os.path.normpath(plain)).absolute()}"

    def exists(self, uri: str) -> bool:
        """Say whether there is a file or folder."""
        return self._path(uri).exists()

    def list_files(self, folder: str) -> Listing:
        """All files below a folder, but hidden ones.

        Raises
        ------
        InputError : it can't be listed.
        """
        if not self._path(folder).is_dir():
            what = f"there is no folder {self._path(folder)}"
            raise InputError(what, hint="correct paths.drop")
        return listing.list_local(self._path(folder), folder)

    def entries(self, folder: str) -> list[Named]:
        """What lies right below a folder; nothing where it can't be listed."""
        return named_files.local_entries(self._path(folder), folder)

    def open(self, uri: str) -> BinaryIO:
        """The bytes of a file, for reading."""
        return self._path(uri).open("rb")

    @staticmethod
    def _path(uri: str) -> Path:
        return Path(uri.removeprefix("file:"))


class OnStore:
    """Any store, this machine's disk as well, by Hadoop's file systems."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def exists(self, uri: str) -> bool:
        """Say whether there is a file or folder."""
        return filesystem.exists(self._spark, uri)

    def list_files(self, folder: str) -> Listing:
        """All files below a folder, but hidden ones; raises as ``listing.list_files``."""
        return listing.list_files(self._spark, folder)

    def entries(self, folder: str) -> list[Named]:
        """What lies right below a folder; nothing where it can't be listed."""
        return named_files.entries(self._spark, folder)

    def open(self, uri: str) -> BinaryIO:
        """The bytes of a file, for reading."""
        return io.BytesIO(filesystem.read_whole(self._spark, uri))
