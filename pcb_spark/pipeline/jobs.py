"""The jobs by their names: what each does, in which steps, and with which tables.

The command line is made of these records, and leases by what they claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

from pcb_spark.lake import catalogue
from pcb_spark.lake.claims import Claim
from pcb_spark.pipeline.compact import run_compact
from pcb_spark.pipeline.describe import run_describe
from pcb_spark.pipeline.export import run_export
from pcb_spark.pipeline.featurize import run_featurize
from pcb_spark.pipeline.ingest import run_ingest, run_ingest_continuously
from pcb_spark.pipeline.prune import run_prune
from pcb_spark.pipeline.report import run_report
from pcb_spark.pipeline.score import run_score
from pcb_spark.pipeline.train import run_train
from pcb_spark.pipeline.tune import run_tune

if TYPE_CHECKING:
    from pcb_spark.pipeline.job import Job

Step = Callable[["Job"], object]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What there is to know of a job before it runs; ``claim`` says which tables it works on."""

    name: str
    help: str
    steps: tuple[Callable[..., object], ...]
    claim: Claim


def _tables(*names: str) -> frozenset[str]:
    return frozenset(names)


_BOOKS: Final = _tables(catalogue.RUNS)
_FIGURES: Final = _tables(catalogue.RUNS, catalogue.METRICS)
_JUDGED: Final = _tables(catalogue.IMAGES, catalogue.VERDICTS)
_TRAINED: Final = _tables(catalogue.BUNDLE, catalogue.OUT_OF_FOLD, catalogue.SUSPECTS)

_INGEST: Final = Claim(
    updates=_tables(
        catalogue.IMAGES, catalogue.VERDICTS, catalogue.REJECTS, catalogue.FILES, catalogue.SIDECARS
    ),
    appends=_BOOKS,
)
_FEATURIZE: Final = Claim(
    reads=_tables(catalogue.IMAGES),
    replaces=_tables(catalogue.FEATURES, catalogue.FEATURE_SET),
    appends=_BOOKS | {catalogue.REJECTS},
)
_REPORT: Final = Claim(
    reads=_JUDGED
    | _tables(catalogue.REJECTS, catalogue.SCORES, catalogue.REVIEWS)
    | _TRAINED
    | _FIGURES,
    replaces=_tables(catalogue.REPORT, catalogue.REPORTS),
)
#: It makes features anew where int8 doesn't do.
_TRAIN: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS},
    replaces=_TRAINED | {catalogue.FEATURES, catalogue.FEATURE_SET},
    appends=_FIGURES,
)
_SCORE: Final = Claim(
    reads=_JUDGED | {catalogue.BUNDLE, catalogue.FEATURES},
    replaces=_tables(catalogue.SCORES, catalogue.REVIEWS),
    appends=_BOOKS,
)
_EXPORT: Final = Claim(reads=_tables(catalogue.IMAGES, catalogue.BUNDLE))
_DESCRIBE: Final = Claim(reads=_JUDGED, appends=_FIGURES)
_TUNE: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS},
    replaces=_tables(*catalogue.TUNE_FEATURES.values()),
    appends=_FIGURES | {catalogue.TRIALS},
)
_COMPACT: Final = Claim(replaces=_tables(catalogue.IMAGES, *catalogue.flat()), asks=True)
_PRUNE: Final = Claim(
    reads=_tables(catalogue.BUNDLE),
    replaces=frozenset(catalogue.retained("days", "rows", "images", "ledger")),
    appends=_BOOKS,
    asks=True,
)

JOBS: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord(
            "ingest",
            "camera drop to the tables images, verdicts and rejects",
            (run_ingest,),
            _INGEST,
        ),
        JobRecord("featurize", "images to features", (run_featurize,), _FEATURIZE),
        JobRecord(
            "train",
            "features and verdicts to a judged model bundle",
            (run_train, run_report),
            _TRAIN | _REPORT,
        ),
        JobRecord(
            "score", "images and a bundle to scores", (run_score, run_report), _SCORE | _REPORT
        ),
        JobRecord(
            "export",
            "the model bundle to one that edge machines and the service decide with, signed",
            (run_export,),
            _EXPORT,
        ),
        JobRecord("report", "tables and bundle to one HTML file", (run_report,), _REPORT),
        JobRecord(
            "tune",
            "images and verdicts to trials of features and trees, ranked forward in time",
            (run_tune,),
            _TUNE,
        ),
        JobRecord(
            "describe",
            "images and verdicts to metrics of how good the data are",
            (run_describe,),
            _DESCRIBE,
        ),
        JobRecord(
            "compact",
            "many small files of the tables to few large ones",
            (run_compact,),
            _COMPACT,
        ),
        JobRecord("prune", "remove what was captured before a day", (run_prune,), _PRUNE),
        JobRecord(
            "run",
            "ingest, featurize, train, score and report in one session",
            (run_ingest, run_featurize, run_train, run_score, run_report),
            reduce(or_, (_INGEST, _FEATURIZE, _TRAIN, _SCORE, _REPORT)),
        ),
    )
}

#: The ETL service: it pauses for upkeep.
SERVICE: Final = JobRecord(
    "ingest",
    "take in what arrives until SIGTERM or SIGINT",
    (run_ingest_continuously,),
    _INGEST | Claim(pauses=True),
)
