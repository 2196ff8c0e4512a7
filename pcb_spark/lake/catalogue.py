"""The tables below ``paths.out``, a record each: what they hold, and what upkeep does with them.

Every one of them is exchanged as a whole, or day by day, by the job that replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pcb_spark.lake import schemas

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

IMAGES: Final = "images"
VERDICTS: Final = "verdicts"
REJECTS: Final = "rejects"
FILES: Final = "files"
SIDECARS: Final = "sidecars"
GOLDENS: Final = "goldens"
FEATURES: Final = "features"
FEATURE_SET: Final = "feature_set"
OUT_OF_FOLD: Final = "out_of_fold"
SUSPECTS: Final = "suspects"
SCORES: Final = "scores"
REVIEWS: Final = "reviews"
DECISIONS: Final = "decisions"
PROMOTIONS: Final = "promotions"
CLEARING: Final = "clearing"
SHARE_CAPS: Final = "share_caps"
MONITOR: Final = "monitor"
TRIALS: Final = "trials"
METRICS: Final = "metrics"
RUNS: Final = "runs"
BUNDLE: Final = "bundle"
REGISTRY: Final = "registry"
REPORT: Final = "report.html"
REPORTS: Final = "reports"
#: What a search computed once, by whether it compares with references.
TUNE_FEATURES: Final = {True: "tune_features_difference", False: "tune_features_none"}

#: What prune removes: folders of days, rows of days, rows of images that go, or all but a last row
#: of these in the ledger.
Retention = Literal["days", "rows", "images", "ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is known of a table.

    ``schema`` is None where it is a folder of other files than Parquet, or one file. ``retention``
    is None where everything stays. ``compacted`` says that its many small files become few.
    """

    name: str
    schema: StructType | None
    retention: Retention | None = None
    compacted: bool = False

    @property
    def by_date(self) -> bool:
        """Whether its files lie in folders by capture date."""
        return self.retention == "days"


TABLES: Final = (
    Table(name=IMAGES, schema=schemas.IMAGES, retention="days", compacted=True),
    # These three have one file a day anyway.
    Table(name=FEATURES, schema=schemas.FEATURES_TABLE, retention="days"),
    Table(name=SCORES, schema=schemas.SCORES, retention="days"),
    Table(name=REVIEWS, schema=schemas.REVIEWS, retention="days"),
    Table(name=REJECTS, schema=schemas.REJECTS, retention="rows", compacted=True),
    Table(name=VERDICTS, schema=schemas.VERDICTS, retention="images", compacted=True),
    Table(name=FILES, schema=schemas.FILES, retention="ledger", compacted=True),
    Table(name=SIDECARS, schema=schemas.SIDECARS, compacted=True),
    Table(name=GOLDENS, schema=schemas.GOLDENS, compacted=True),
    Table(name=OUT_OF_FOLD, schema=schemas.OUT_OF_FOLD, compacted=True),
    Table(name=SUSPECTS, schema=schemas.SUSPECTS, compacted=True),
    Table(name=DECISIONS, schema=schemas.DECISIONS, compacted=True),
    Table(name=PROMOTIONS, schema=schemas.PROMOTIONS, compacted=True),
    Table(name=CLEARING, schema=schemas.CLEARING, compacted=True),
    Table(name=SHARE_CAPS, schema=schemas.SHARE_CAPS, compacted=True),
    Table(name=MONITOR, schema=schemas.MONITOR, compacted=True),
    Table(name=TRIALS, schema=schemas.TRIALS, compacted=True),
    Table(name=METRICS, schema=schemas.METRICS, compacted=True),
    Table(name=RUNS, schema=schemas.RUNS, compacted=True),
    *(
        Table(name=name, schema=schemas.FEATURES_TABLE, retention="rows", compacted=True)
        for name in TUNE_FEATURES.values()
    ),
    Table(name=FEATURE_SET, schema=None),
    Table(name=BUNDLE, schema=None),
    Table(name=REGISTRY, schema=None),
    Table(name=REPORT, schema=None),
    Table(name=REPORTS, schema=None),
)


def flat() -> dict[str, StructType]:
    """Tables that compact writes anew as a whole, by their names."""
    return {t.name: t.schema for t in TABLES if t.compacted and not t.by_date and t.schema}


def retained(*how: Retention) -> dict[str, StructType]:
    """Tables that prune treats in one of these ways, by their names."""
    return {t.name: t.schema for t in TABLES if t.retention in how and t.schema}
