"""Reading and writing tables: the rim of every job.

A table is a folder of Parquet files below ``paths.out``, named after its schema. Whole tables, and
whole days of one, are written beside their place and then exchanged (``exchange``): a reader finds
the old one or the new one, or the journal that says that it has to wait. A job passes its ``lease``
where it replaces something; without one nothing that others left unfinished is touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyspark import StorageLevel

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import compaction, earlier, exchange, filesystem
from pcb_spark.lake.failures import spark_failures as spark_failures
from pcb_spark.lake.filesystem import download as download
from pcb_spark.lake.filesystem import exists as exists
from pcb_spark.lake.filesystem import qualified as qualified
from pcb_spark.lake.filesystem import remove as remove
from pcb_spark.lake.filesystem import upload as upload

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from pcb_spark.lake.leases import Lease


def locate(out: str, table: str) -> str:
    """Return the URI of ``table`` below ``out``."""
    return f"{out.rstrip('/')}/{table}"


def read(spark: SparkSession, uri: str, schema: StructType) -> DataFrame:
    """Read a table by its schema, files that earlier versions wrote among them.

    Raises
    ------
    InputError : there is no table at ``uri``.
    """
    exchange.settle(spark, uri)
    if not exists(spark, uri):
        what = f"no table at {uri}"
        raise InputError(what, hint="run the job that writes it first, or correct paths.out")
    return earlier.read(spark, uri, schema)


def cached(df: DataFrame, caches: contextlib.ExitStack) -> DataFrame:
    """Keep ``df`` on disk until ``caches`` closes."""
    kept = df.persist(StorageLevel.DISK_ONLY)
    caches.callback(kept.unpersist)
    return kept


def computed(df: DataFrame, caches: contextlib.ExitStack) -> DataFrame:
    """Compute rows that hold no pictures, and forget how, until ``caches`` closes.

    Spark plans each step through all those before it, kept rows or not: at the end of an ingest
    that took longer than the work itself. Only in local mode are they forgotten: an executor that
    is lost takes its rows along, and then they have to be computed again.
    """
    if (df.sparkSession.sparkContext.master or "").startswith("local"):
        local: DataFrame = df.localCheckpoint(eager=True)
        return local
    return cached(df, caches)


def replace(
    df: DataFrame,
    uri: str,
    schema: StructType,
    *,
    by_date: bool = False,
    lease: Lease | None = None,
) -> None:
    """Write ``df`` as the whole of the table at ``uri``."""
    with staged(df.sparkSession, uri, lease) as staging:
        writer(df, schema, by_date=by_date).parquet(staging)


def rewrite(
    df: DataFrame, uri: str, schema: StructType, *, files: int, lease: Lease | None = None
) -> None:
    """Write the table ``df`` at ``uri`` anew, in so many files.

    Raises
    ------
    AccountingError : the rows are not the same; the table stays as it was.
    """
    spark, before = df.sparkSession, compaction.checksum(df)
    with staged(spark, uri, lease) as staging:
        writer(df.repartition(files), schema, by_date=False).parquet(staging)
        after = compaction.checksum(read(spark, staging, schema))
        compaction.require_same(before, after, uri)


def replace_dates(
    df: DataFrame, uri: str, schema: StructType, *, lease: Lease | None = None
) -> None:
    """Write ``df`` over those capture dates of the table at ``uri`` that it holds."""
    with _staging(df.sparkSession, uri, lease) as staging:
        writer(df, schema, by_date=True).parquet(staging)
        days = [
            (name, True)
            for name in filesystem.names(df.sparkSession, staging)
            if name.startswith(f"{names.CAPTURE_DATE}=")
        ]
    exchange.swap(df.sparkSession, uri, staging, days, lease=lease)


def append(df: DataFrame, uri: str, schema: StructType, *, files: int = 1) -> None:
    """Add the rows of ``df`` to the table at ``uri``, in so many files at most."""
    exchange.settle(df.sparkSession, uri)
    writer(df.coalesce(files), schema, by_date=False).mode("append").parquet(uri)


def append_rows(
    spark: SparkSession, rows: Sequence[tuple[Any, ...]], uri: str, schema: StructType
) -> None:
    """Add driver-side rows to the table at ``uri``."""
    append(spark.createDataFrame(list(rows), schema), uri, schema)


@contextlib.contextmanager
def staged(spark: SparkSession, uri: str, lease: Lease | None = None) -> Iterator[str]:
    """Yield a folder beside ``uri``; on success it takes the place of ``uri``, else it goes."""
    with _staging(spark, uri, lease) as staging:
        yield staging
    exchange.swap(spark, uri, staging, lease=lease)


@contextlib.contextmanager
def _staging(spark: SparkSession, uri: str, lease: Lease | None) -> Iterator[str]:
    exchange.finish(spark, uri, lease=lease)
    exchange.tidy(spark, uri, lease)
    staging = exchange.staging(uri, lease)
    try:
        yield staging
    except BaseException:
        remove(spark, staging)
        raise


def writer(df: DataFrame, schema: StructType, *, by_date: bool, files: int = 1) -> Any:
    """Return Spark's writer of the columns of ``schema``, by date with ``files`` files each."""
    contract = df.select(*(df[f.name].cast(f.dataType).alias(f.name) for f in schema.fields))
    if not by_date:
        return contract.write
    date = names.CAPTURE_DATE
    order = [name for name in (date, names.IMAGE_ID) if name in schema.names]
    spread = contract.repartition(files, *order) if files > 1 else contract.repartition(date)
    return spread.sortWithinPartitions(*order).write.partitionBy(date)
