"""Additions to the table ``images`` that are there as a whole or not at all, whatever ends the job.

A micro-batch is written beside the table, one file a capture date. petastorm's list of files, which
may name more of them than there are, gets theirs first; then each file moves in by one rename. Its
name is a hash of its rows: what is written again after a kill is the same file, or none. Where rows
change, whole partitions are exchanged, and ``recover`` goes on where a killed job left off.
"""

from __future__ import annotations

import io
import json
import pickle
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import (
    catalogue,
    compaction,
    exchange,
    filesystem,
    schemas,
    tables,
    unischema,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from pcb_spark.lake.leases import Lease

_COMMON = "_common_metadata"
_STAGING = ".ingest"
#: What tells one version of a row from another: all but the pictures, of which there are hashes.
_DIGESTED = [name for name in schemas.IMAGES.names if name not in (names.IMAGE, names.REFERENCE)]
#: How Parquet's row groups of ``images`` are cut.
ROW_GROUPS = {
    # What one petastorm reader holds in memory at a time.
    "parquet.block.size": str(32 << 20),
    # Rows differ in size by a thousand times: look at the size of a row group every few of them.
    "parquet.page.size.row.check.min": "3",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A staged file: where it lies, where it goes below the table, how many rows it has."""

    staged: str
    name: str
    rows: int


@dataclass(frozen=True)
class ImageStore:
    """The table ``images`` below ``out``, and the folder in which its additions are made."""

    spark: SparkSession
    out: str
    lease: Lease | None = None

    @cached_property
    def uri(self) -> str:
        """Where the table is."""
        return tables.locate(self.out, catalogue.IMAGES)

    def recover(self) -> None:
        """Put right what a killed job left: unfinished exchanges, and unfinished files."""
        claimed = self.lease.holder.claim.exchanges if self.lease else {catalogue.IMAGES}
        for table in sorted(claimed):
            exchange.finish(self.spark, tables.locate(self.out, table), lease=self.lease)
        for name in filesystem.names(self.spark, self.out):
            if name == _STAGING or name.startswith(f"{_STAGING}-"):
                tables.remove(self.spark, tables.locate(self.out, name))
        if tables.exists(self.spark, self.uri):
            self._seal()

    def read(self, dates: Iterable[date] | None = None) -> DataFrame:
        """The table, of ``dates`` only if given; empty where there is none."""
        if not tables.exists(self.spark, self.uri):
            return self.spark.createDataFrame([], schemas.IMAGES)
        found = tables.read(self.spark, self.uri, schemas.IMAGES)
        return found if dates is None else found.where(F.col(names.CAPTURE_DATE).isin(*dates))

    def add(self, rows: DataFrame) -> int:
        """Add rows whose ids aren't in the table, and return how many these are."""
        files = self._stage(rows)
        self._announce(files)
        for file in files:
            target = f"{self.uri}/{file.name}"
            if not tables.exists(self.spark, target):
                filesystem.make_folder(self.spark, target.rpartition("/")[0])
                filesystem.move(self.spark, file.staged, target)
        self._seal()
        tables.remove(self.spark, self._staging)
        return sum(file.rows for file in files)

    def revise(self, rows: DataFrame, ids: DataFrame, dates: Iterable[date]) -> None:
        """Put ``rows`` in the place of those of the same ids.

        Parameters
        ----------
        ids : ``image_id`` of ``rows``.
        dates : every capture date that has one of these images, or will.
        """
        dates = sorted(set(dates))
        others = self.read(dates).join(ids.select(names.IMAGE_ID), names.IMAGE_ID, "left_anti")
        self._exchange(self._stage(others.select(schemas.IMAGES.names).unionByName(rows)), dates)

    def compact(self, day: date, count: int) -> int:
        """Write the rows of a capture date into at most ``count`` files; how many these became.

        Raises
        ------
        AccountingError : the rows are not the same; the table stays as it was.
        """
        rows = self.read([day])
        before = compaction.checksum(rows)
        files = self._stage(rows, files=count)
        written = self.spark.read.schema(schemas.IMAGES).parquet(f"{self._staging}/rows")
        compaction.require_same(before, compaction.checksum(written), f"{self.uri} of {day}")
        self._exchange(files, [day])
        return len(files)

    def drop(self, dates: Iterable[date]) -> None:
        """Remove whole capture dates."""
        self._exchange([], sorted(set(dates)))

    def _exchange(self, files: Sequence[_File], dates: Sequence[date]) -> None:
        """Put staged files in the place of all that these dates had; none are an empty date."""
        self._announce(files)
        filled = {file.name.partition("/")[0] for file in files}
        folders = [_folder(day) for day in dates]
        parts = [(folder, folder in filled) for folder in folders]
        filesystem.make_folder(self.spark, f"{self._staging}/rows")
        exchange.swap(self.spark, self.uri, f"{self._staging}/rows", parts, lease=self.lease)
        self._forget(dates, but=files)
        tables.remove(self.spark, self._staging)

    def _seal(self) -> None:
        filesystem.write_whole(self.spark, f"{self.uri}/{exchange.SEAL}", b"")

    @cached_property
    def _staging(self) -> str:
        run = self.lease.holder.run_id if self.lease else secrets.token_hex(6)
        return tables.locate(self.out, f"{_STAGING}-{run}")

    def _stage(self, rows: DataFrame, files: int = 1) -> list[_File]:
        """Write rows beside the table and give each file the name of what is in it."""
        staging = f"{self._staging}/rows"
        tables.remove(self.spark, staging)
        writer = tables.writer(rows, schemas.IMAGES, by_date=True, files=files).options(
            **ROW_GROUPS
        )
        writer.parquet(staging)
        written = self.spark.read.schema(schemas.IMAGES).parquet(staging)
        content = F.concat(names.IMAGE_ID, F.sha2(F.to_json(F.struct(*_DIGESTED)), 256))
        digest = F.sha2(F.concat_ws(" ", F.sort_array(F.collect_list(content))), 256)
        named = written.groupBy(F.col("_metadata.file_path").alias("path"), names.CAPTURE_DATE).agg(
            F.substring(digest, 1, 32).alias("digest"), F.count("*").alias("rows")
        )
        return [self._renamed(row) for row in named.collect()]

    def _renamed(self, row: Row) -> _File:
        folder = f"{names.CAPTURE_DATE}={row[names.CAPTURE_DATE]}"
        name = f"part-{row['digest']}.snappy.parquet"
        written = row["path"].rpartition("/")[2]
        source, target = (f"{self._staging}/rows/{folder}/{n}" for n in (written, name))
        filesystem.move(self.spark, source, target)
        return _File(target, f"{folder}/{name}", row["rows"])

    def _announce(self, files: Iterable[_File]) -> None:
        """Tell petastorm of files before they are there: it fails on one that it doesn't know."""
        counts = self._row_groups() | {
            file.name: row_groups(self.spark, file.staged) for file in files
        }
        filesystem.make_folder(self.spark, self.uri)
        filesystem.write_whole(self.spark, f"{self.uri}/{_COMMON}", _petastorm_metadata(counts))

    def _forget(self, dates: Iterable[date], but: Iterable[_File]) -> None:
        """Let petastorm's list keep of these dates the files that are there now."""
        there, folders = {file.name for file in but}, {_folder(day) for day in dates}
        counts = {
            name: count
            for name, count in self._row_groups().items()
            if name in there or name.partition("/")[0] not in folders
        }
        filesystem.write_whole(self.spark, f"{self.uri}/{_COMMON}", _petastorm_metadata(counts))

    def _row_groups(self) -> dict[str, int]:
        """How many row groups each file has, by petastorm's list."""
        import pyarrow.parquet as pq
        from petastorm.etl.dataset_metadata import ROW_GROUPS_PER_FILE_KEY

        uri = f"{self.uri}/{_COMMON}"
        if not tables.exists(self.spark, self.uri):
            return {}
        content = filesystem.read_whole(self.spark, uri) if tables.exists(self.spark, uri) else b""
        if not content:  # what a kill leaves on wasb
            files = [
                name for name in filesystem.below(self.spark, self.uri) if name.endswith(".parquet")
            ]
            return {name: row_groups(self.spark, f"{self.uri}/{name}") for name in files}
        metadata = pq.read_schema(io.BytesIO(content)).metadata or {}
        counts: dict[str, int] = json.loads(metadata.get(ROW_GROUPS_PER_FILE_KEY, b"{}"))
        return counts


def _folder(day: date) -> str:
    return f"{names.CAPTURE_DATE}={day.isoformat()}"


def _petastorm_metadata(counts: Mapping[str, int]) -> bytes:
    """The file by which ``make_reader`` knows columns and row groups."""
    import pyarrow.parquet as pq
    import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248
    from petastorm.etl.dataset_metadata import ROW_GROUPS_PER_FILE_KEY, UNISCHEMA_KEY
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    stored = StructType(
        [field for field in schemas.IMAGES.fields if field.name != names.CAPTURE_DATE]
    )
    about = {
        UNISCHEMA_KEY: pickle.dumps(unischema.images_unischema()),
        ROW_GROUPS_PER_FILE_KEY: json.dumps(dict(sorted(counts.items()))).encode(),
    }
    file = io.BytesIO()
    pq.write_metadata(to_arrow_schema(stored).with_metadata(about), file)
    return file.getvalue()


def row_groups(spark: SparkSession, uri: str) -> int:
    """How many row groups a Parquet file has, by its footer."""
    jvm: Any = spark._jvm
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop = jvm.org.apache.parquet.hadoop
    path = jvm.org.apache.hadoop.fs.Path(uri)
    reader = hadoop.ParquetFileReader.open(hadoop.util.HadoopInputFile.fromPath(path, conf))
    try:
        return int(reader.getRowGroups().size())
    finally:
        reader.close()
