"""Reading and writing tables: the rim of every job.

A table is a folder of Parquet files below ``paths.out``, named after its schema. Whole tables are
written beside their place and then change places with the old ones by two renames, so that a reader
finds the old table or the new one, for a moment neither, and never half of one.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from pcb_spark import compaction, schemas
from pcb_spark.errors import InputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

#: A row group of ``images`` is what one petastorm reader holds in memory at a time.
IMAGE_ROW_GROUP_MB = 32
# Parquet looks at the size of a row group after 100 rows first, by this setting whatever its name
# says: of camera files, gigabytes.
_SIZE_CHECK = {"parquet.page.size.row.check.min": "3"}


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in a folder: its name, its bytes, its store's clock when it was written, in ms."""

    name: str
    length: int
    modified_ms: int


def locate(out: str, table: str) -> str:
    """Return the URI of ``table`` below ``out``."""
    return f"{out.rstrip('/')}/{table}"


def exists(spark: SparkSession, uri: str) -> bool:
    """Say whether there is a file or folder at ``uri``."""
    filesystem, path = _hadoop(spark, uri)
    return bool(filesystem.exists(path))


def entries(spark: SparkSession, uri: str) -> list[Entry]:
    """List what lies right below the folder ``uri``; nothing where there is no such folder."""
    filesystem, path = _hadoop(spark, uri)
    if not filesystem.exists(path):
        return []
    return [
        Entry(found.getPath().getName(), found.getLen(), found.getModificationTime())
        for found in filesystem.listStatus(path)
    ]


def qualified(spark: SparkSession, uri: str) -> str:
    """Return ``uri`` with its scheme, as Spark's file sources report it."""
    filesystem, path = _hadoop(spark, uri)
    return str(filesystem.makeQualified(path).toString())


def read(spark: SparkSession, uri: str, schema: StructType) -> DataFrame:
    """Read a table by its schema.

    Raises
    ------
    InputError : there is no table at ``uri``.
    """
    if not exists(spark, uri):
        what = f"no table at {uri}"
        raise InputError(what, hint="run the job that writes it first, or correct paths.out")
    return spark.read.schema(schema).parquet(uri)


def replace(df: DataFrame, uri: str, schema: StructType, *, by_date: bool = False) -> None:
    """Write ``df`` as the whole of the table at ``uri``."""
    with staged(df.sparkSession, uri) as staging:
        _writer(df, schema, by_date=by_date).parquet(staging)


def rewrite(df: DataFrame, uri: str, schema: StructType, *, files: int) -> None:
    """Write the table ``df`` at ``uri`` anew, in so many files.

    Raises
    ------
    AccountingError : the rows are not the same; the table stays as it was.
    """
    spark, before = df.sparkSession, compaction.checksum(df)
    with staged(spark, uri) as staging:
        _writer(df.repartition(files), schema, by_date=False).parquet(staging)
        after = compaction.checksum(read(spark, staging, schema))
        compaction.require_same(before, after, uri)


def replace_dates(df: DataFrame, uri: str, schema: StructType) -> None:
    """Write ``df`` over those capture dates of the table at ``uri`` that it holds."""
    writer = _writer(df, schema, by_date=True)
    writer.mode("overwrite").option("partitionOverwriteMode", "dynamic").parquet(uri)


def append(df: DataFrame, uri: str, schema: StructType) -> None:
    """Add the rows of ``df`` to the table at ``uri``."""
    _writer(df.coalesce(1), schema, by_date=False).mode("append").parquet(uri)


def replace_images(df: DataFrame, uri: str) -> None:
    """Write the ``images`` table so that Spark and petastorm can read it."""
    spark = df.sparkSession
    with staged(spark, uri) as staging, _petastorm(spark, qualified(spark, staging)):
        writer = _writer(df, schemas.IMAGES, by_date=True)
        writer.options(**_SIZE_CHECK).parquet(staging)


def append_rows(
    spark: SparkSession, rows: Sequence[tuple[Any, ...]], uri: str, schema: StructType
) -> None:
    """Add driver-side rows to the table at ``uri``."""
    append(spark.createDataFrame(list(rows), schema), uri, schema)


@contextlib.contextmanager
def staged(spark: SparkSession, uri: str) -> Iterator[str]:
    """Yield a folder beside ``uri``; on success it takes the place of ``uri``, else it goes.

    What was at ``uri`` steps aside until the new one is in place, and comes back if that fails.
    """
    parent, _, name = uri.rpartition("/")
    staging, aside = f"{parent}/.staging-{name}", f"{parent}/.replaced-{name}"
    remove(spark, staging)
    try:
        yield staging
    except BaseException:
        remove(spark, staging)
        raise
    if exists(spark, uri):
        remove(spark, aside)
        _move(spark, uri, aside)
    try:
        _move(spark, staging, uri)
    except BaseException:
        if exists(spark, aside):
            _move(spark, aside, uri)
        raise
    remove(spark, aside)


def _move(spark: SparkSession, source: str, target: str) -> None:
    filesystem, path = _hadoop(spark, source)
    if not filesystem.rename(path, _hadoop(spark, target)[1]):
        what = f"{source} can't be moved to {target}"
        raise InputError(what, hint="check the rights on the output folder")


def remove(spark: SparkSession, uri: str) -> None:
    """Delete ``uri`` and all below it, if it is there."""
    filesystem, path = _hadoop(spark, uri)
    filesystem.delete(path, True)


def upload(spark: SparkSession, folder: Path, uri: str) -> None:
    """Copy a local folder to ``uri``."""
    filesystem, target = _hadoop(spark, uri)
    source = _hadoop(spark, folder.resolve().as_uri())[1]
    filesystem.copyFromLocalFile(source, target)


def download(spark: SparkSession, uri: str, folder: Path) -> None:
    """Copy the files right below ``uri`` into the local ``folder``."""
    filesystem, source = _hadoop(spark, uri)
    for status in filesystem.listStatus(source):
        target = folder.resolve() / status.getPath().getName()
        local = _hadoop(spark, target.as_uri())[1]
        filesystem.copyToLocalFile(False, status.getPath(), local, True)


@contextlib.contextmanager
def spark_failures(what: str, *, hint: str) -> Iterator[None]:
    """Turn a failure inside Spark into one InputError that names its root cause."""
    try:
        yield
    except Py4JJavaError as error:
        cause = _root_cause(error.java_exception)
        raise InputError(what, got=cause, hint=hint) from None
    except PySparkException as error:
        message = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(what, got=message[0], hint=hint) from None


def _root_cause(throwable: Any) -> str:
    while throwable.getCause() is not None:
        throwable = throwable.getCause()
    return str(throwable.toString()).splitlines()[0]


def _writer(df: DataFrame, schema: StructType, *, by_date: bool, files: int = 1) -> Any:
    """Write the columns of ``schema``, by date into ``files`` files each."""
    contract = df.select(*(df[f.name].cast(f.dataType).alias(f.name) for f in schema.fields))
    if not by_date:
        return contract.write
    date = schemas.CAPTURE_DATE
    order = [name for name in (date, schemas.IMAGE_ID) if name in schema.names]
    spread = contract.repartition(files, *order) if files > 1 else contract.repartition(date)
    return spread.sortWithinPartitions(*order).write.partitionBy(date)


@contextlib.contextmanager
def _petastorm(spark: SparkSession, url: str) -> Iterator[None]:
    """Petastorm's materialize_dataset, with Hadoop's settings restored on failure too."""
    from petastorm.etl.dataset_metadata import materialize_dataset

    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    before = {key: hadoop.get(key) for key in _PETASTORM_SETTINGS}
    try:
        with warnings.catch_warnings():
            # petastorm calls pyarrow's older interface, on purpose of its own
            warnings.simplefilter("ignore", FutureWarning)
            schema = schemas.images_unischema()
            with materialize_dataset(spark, url, schema, row_group_size_mb=IMAGE_ROW_GROUP_MB):
                yield
    finally:
        for key, value in before.items():
            _restore(hadoop, key, value)


_PETASTORM_SETTINGS = (
    "parquet.summary.metadata.level",
    "parquet.summary.metadata.propagate-errors",
    "parquet.block.size.row.check.min",
    "parquet.row-group.size.row.check.min",
    "parquet.block.size",
)


def _restore(hadoop: Any, key: str, value: str | None) -> None:
    if value is None:
        hadoop.unset(key)
    else:
        hadoop.set(key, value)


def _hadoop(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    return path.getFileSystem(conf), path
