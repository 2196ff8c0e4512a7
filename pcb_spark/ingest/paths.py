"""Columns that follow from where a file lies in its drop, and from its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column


def relative(root: str, path: str = "path") -> Column:
    """The path below ``root``, a qualified URI."""
    return F.expr(f"substring({path}, {len(root.rstrip('/')) + 2})")


def source_uri(root: str, path: Column) -> Column:
    """Undo ``relative``."""
    return F.concat(F.lit(root.rstrip("/") + "/"), path)


def image_id(path: Column) -> Column:
    """128 bits of the path's hash: the same file of a drop has the same id wherever it is read."""
    return F.substring(F.sha2(path, 256), 1, 32)


def capture_date(moment: Column, timezone: str) -> Column:
    """The day of ``moment`` in the plant's zone."""
    return F.to_date(F.from_utc_timestamp(moment, timezone))
