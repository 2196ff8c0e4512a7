"""What ingest has noted of files, and notes: the ledger, and rejects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.ingest import image_files, ledger
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import FILES, REJECTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from pcb_spark.lake.run import Run

#: Of rejects that ingest makes.
STAGE = "ingest"


@dataclass(frozen=True)
class Notes:
    """The tables in which one run notes what became of files."""

    run: Run

    def read(self, name: str, schema: StructType) -> DataFrame:
        """A table of this output; empty where there is none yet."""
        uri = self.run.table(name)
        if not tables.exists(self.run.spark, uri):
            return self.run.spark.createDataFrame([], schema)
        return tables.read(self.run.spark, uri, schema)

    def ledger(self) -> DataFrame:
        """What became of the newest version of every file."""
        return ledger.newest(self.read(FILES, schemas.FILES))

    def marked(self, rejects: DataFrame) -> DataFrame:
        """Rejects with this job's stage, run and time."""
        return rejects.withColumns({
            names.STAGE: F.lit(STAGE),
            names.SEEN_AT: F.lit(datetime.now(UTC)),
            names.RUN_ID: F.lit(self.run.run_id),
        })  # fmt: skip

    def reject(self, rows: DataFrame) -> None:
        """Append rejects of files, each file and reason once."""
        had = self.read(REJECTS, schemas.REJECTS).where(
            (F.col(names.STAGE) == STAGE) & (F.col(names.KIND) == names.KIND_IMAGE)
        )
        news = rows.join(had, [names.SOURCE_URI, names.REASON], "left_anti")
        if not news.isEmpty():
            tables.append(self.marked(news), self.run.table(REJECTS), schemas.REJECTS)

    def note(self, judged: DataFrame) -> None:
        """Put into the ledger what became of each file."""
        outcome = F.when(F.col(image_files.STATE) == image_files.PRUNED, names.PRUNED).otherwise(
            image_files.OK
        )
        noted = judged.withColumns({
            names.OUTCOME: F.coalesce(names.REASON, outcome),
            names.SEEN_AT: F.lit(datetime.now(UTC)),
            names.RUN_ID: F.lit(self.run.run_id),
        })  # fmt: skip
        tables.append(noted, self.run.table(FILES), schemas.FILES)
