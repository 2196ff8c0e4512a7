"""The verdicts of the review page, read out of its store as rows of a verdict file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pcb_spark.ingest import verdict_files
from pcb_spark.ingest.verdict_form import TEXTS
from pcb_spark.review import database, exports

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def read(spark: SparkSession, url: str) -> DataFrame:
    """The rows of a store, in the form of ``verdict_files.read``; they count after all files.

    Raises
    ------
    ConfigError : no URL of a store.
    StoreUnreachable : it isn't there, or doesn't answer.
    """
    engine = database.connect(url)
    where = engine.url.render_as_string(hide_password=True)
    try:
        with database.reaching(engine):
            said = [exports.row_of(entry) for entry in exports.said(engine)]
    finally:
        engine.dispose()
    rows = [
        (*(row.get(name) for name in TEXTS), where, (1 << 62) + number)
        for number, row in enumerate(said)
    ]
    return spark.createDataFrame(rows, verdict_files.RAW)
