"""Tables as earlier versions wrote them, read as today's: the one place that knows both.

``metrics`` had one column ``scope`` (``overall``, ``fold=3``), and names of some metrics held
values: ``new_size 448x320`` in the scope ``day=2026-01-06``, ``type_differs bigint`` in
``column=width``. ``scores`` had ``audit`` in place of ``review``, and no probability of it. A
folder may hold files of either kind: nothing is rewritten when rows come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as t

from pcb_spark.core import names, policy, review
from pcb_spark.lake import schemas, scopes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_SCOPE = "scope"
_AUDIT = "audit"


def read(spark: SparkSession, uri: str, schema: t.StructType) -> DataFrame:
    """Read the Parquet files of a table, whichever version wrote each, by ``schema``."""
    if schema == schemas.METRICS:
        gone, today = t.StructField(_SCOPE, t.StringType()), _metrics_of_today()
    elif schema == schemas.SCORES:
        gone, today = t.StructField(_AUDIT, t.BooleanType()), _scores_of_today()
    else:
        return spark.read.schema(schema).parquet(uri)
    found = spark.read.schema(t.StructType([*schema.fields, gone])).parquet(uri)
    return found.withColumns(today).select(schema.names)


def _scores_of_today() -> dict[str, Column]:
    """``review`` of rows that have ``audit``, which is never null in them."""
    audit, decision = F.col(_AUDIT), F.col(names.DECISION)
    earlier = (
        F.when(audit, review.AUDIT)
        .when(audit.isNotNull() & (decision == policy.FAIL), review.DECISION)
        .when(audit.isNotNull() & (decision == policy.UNSCORABLE), review.UNSCORABLE)
    )
    return {names.REVIEW: F.coalesce(names.REVIEW, earlier)}


def _metrics_of_today() -> dict[str, Column]:
    """Columns of ``METRICS`` that differ, for rows of either version."""
    kind, value = _before(_SCOPE, "="), _after(_SCOPE, "=")
    name, trait = _before("metric", " "), _after("metric", " ")
    new = (kind == scopes.DAY) & name.startswith("new_") & trait.isNotNull()
    wrong = (kind == scopes.COLUMN) & trait.isNotNull()
    what = F.regexp_replace(name, "^new_", "")
    by_itself = what.isin(scopes.SIZE, scopes.FORMAT)
    date = F.regexp_replace(value, "-", "").cast("double")
    return {
        schemas.SCOPE_KIND: F.coalesce(
            schemas.SCOPE_KIND,
            F.when(new & by_itself, what).when(new, trait).otherwise(kind),
        ),
        schemas.SCOPE_VALUE: F.when(F.col(_SCOPE).isNull(), F.col(schemas.SCOPE_VALUE))
        .when(new & by_itself, trait)
        .when(new, what)
        .when(wrong, F.concat_ws(" ", value, trait))
        .otherwise(value),
        "metric": F.when(new, scopes.FIRST_DAY).when(wrong, name).otherwise(F.col("metric")),
        "value": F.when(new, date).otherwise(F.col("value")),
    }


def _before(column: str, separator: str) -> Column:
    return F.substring_index(column, separator, 1)


def _after(column: str, separator: str) -> Column:
    """What stands behind the first ``separator``; null where there is none."""
    at = F.instr(F.col(column), separator)
    return F.when(at > 0, F.col(column).substr(at + 1, F.length(column)))
