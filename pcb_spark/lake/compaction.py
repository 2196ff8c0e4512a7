"""Few large files in the place of many small ones: how many, and the proof that no row changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import AccountingError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True)
class Checksum:
    """What rows add up to in any order: their number, and the sum of their hashes."""

    rows: int
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a table or of one capture date of it, and what is in them."""

    day: date | None
    files: int
    size: int
    rows: int


def checksum(df: DataFrame) -> Checksum:
    """Add up the rows of ``df``, with every byte of every column."""
    # xxhash64 passes over nulls, so where these are counts by itself.
    columns = [part for name in df.columns for part in (F.col(name), F.col(name).isNull())]
    total = F.sum(F.xxhash64(*columns).cast("decimal(38,0)"))
    rows, added = df.agg(F.count("*"), F.coalesce(total, F.lit(0))).first() or (0, 0)
    return Checksum(rows, Decimal(added))


def require_same(before: Checksum, after: Checksum, where: str) -> None:
    """Compare what was read with what was written anew.

    Raises
    ------
    AccountingError : a row is missing, too many, or other than before.
    """
    if before == after:
        return
    raise AccountingError(
        f"rows of {where} changed while its files were rewritten",
        expected=f"{before.rows} rows that add up to {before.total}",
        got=f"{after.rows} rows that add up to {after.total}",
        hint="the table is as it was; keep the log and report it",
    )


def files_of(table: DataFrame) -> list[Files]:
    """Count the files that hold rows of a table, for each capture date where it has those."""
    whole = F.lit(None).cast("date")
    day = F.col(names.CAPTURE_DATE) if _by_date(table) else whole
    each = table.groupBy(day.alias("day"), "_metadata.file_path", "_metadata.file_size").count()
    found = each.groupBy("day").agg(F.count("*"), F.sum("file_size"), F.sum("count"))
    return [
        Files(day=row[0], files=row[1], size=row[2], rows=row[3])
        for row in found.orderBy("day").collect()
    ]


def wanted(found: Files, target_mb: int) -> int:
    """How many files of at most about ``target_mb`` hold these rows."""
    return max(1, -(-found.size // (target_mb << 20)))


def _by_date(table: DataFrame) -> bool:
    """Whether its files lie in folders by capture date, as only those of ``images`` do here."""
    return names.IMAGE in table.columns
