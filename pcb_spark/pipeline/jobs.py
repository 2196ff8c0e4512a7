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
from pcb_spark.pipeline.clearing import run_resume_clearing, run_stop_clearing
from pcb_spark.pipeline.compact import run_compact
from pcb_spark.pipeline.describe import run_describe
from pcb_spark.pipeline.export import run_export
from pcb_spark.pipeline.featurize import run_featurize
from pcb_spark.pipeline.golden import run_golden, run_golden_if_served, run_golden_if_wanted
from pcb_spark.pipeline.ingest import run_ingest, run_ingest_continuously
from pcb_spark.pipeline.models import (
    run_compare,
    run_history,
    run_list,
    run_model_register,
    run_promote,
    run_rollback,
    run_show,
)
from pcb_spark.pipeline.nightly import run_nightly
from pcb_spark.pipeline.prune import run_prune
from pcb_spark.pipeline.register import run_register
from pcb_spark.pipeline.report import run_report
from pcb_spark.pipeline.retrain import run_retrain
from pcb_spark.pipeline.review_queue import run_review_queue
from pcb_spark.pipeline.score import run_score
from pcb_spark.pipeline.train import run_train
from pcb_spark.pipeline.tune import run_tune

if TYPE_CHECKING:
    from pcb_spark.pipeline.job import Job

Step = Callable[["Job"], object]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What there is to know of a job before it runs.

    ``claim`` says which tables it works on, ``fits`` whether it fits trees by LightGBM on Spark.
    """

    name: str
    help: str
    steps: tuple[Callable[..., object], ...]
    claim: Claim
    fits: bool = False


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
    reads=_tables(catalogue.IMAGES, catalogue.GOLDENS),
    replaces=_tables(catalogue.FEATURES, catalogue.FEATURE_SET),
    appends=_BOOKS | {catalogue.REJECTS},
)
_GOLDEN: Final = Claim(reads=_JUDGED, updates=_tables(catalogue.GOLDENS), appends=_BOOKS)
_REPORT: Final = Claim(
    reads=_JUDGED
    | _tables(catalogue.REJECTS, catalogue.SCORES, catalogue.REVIEWS, catalogue.GOLDENS)
    | _TRAINED
    | _FIGURES,
    replaces=_tables(catalogue.REPORT, catalogue.REPORTS),
)
#: It makes features anew where int8 doesn't do.
_TRAIN: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS, catalogue.REJECTS},
    replaces=_TRAINED | {catalogue.FEATURES, catalogue.FEATURE_SET},
    appends=_FIGURES,
)
_SCORE: Final = Claim(
    reads=_JUDGED
    | _tables(catalogue.BUNDLE, catalogue.FEATURES, catalogue.CLEARING, catalogue.GOLDENS),
    replaces=_tables(catalogue.SCORES, catalogue.REVIEWS),
    appends=_BOOKS,
)
_EXPORT: Final = Claim(
    reads=_tables(
        catalogue.IMAGES,
        catalogue.BUNDLE,
        catalogue.PROMOTIONS,
        catalogue.GOLDENS,
        catalogue.SCORES,
    ),
    appends=_tables(catalogue.REGISTRY, catalogue.SHARE_CAPS),
)
_MODELS: Final = _tables(catalogue.BUNDLE, catalogue.REGISTRY, catalogue.PROMOTIONS)
_REVIEW_QUEUE: Final = Claim(
    reads=_JUDGED | _MODELS | _tables(catalogue.SCORES, catalogue.GOLDENS), appends=_BOOKS
)
_REGISTER: Final = Claim(
    reads=_JUDGED | _tables(catalogue.BUNDLE, catalogue.OUT_OF_FOLD, catalogue.REPORTS),
    appends=_tables(catalogue.REGISTRY),
)
#: It scores, but by the champion, not by the bundle that training left here.
_NIGHT: Final = Claim(
    reads=_JUDGED
    | _tables(
        catalogue.FEATURES,
        catalogue.REJECTS,
        catalogue.REGISTRY,
        catalogue.PROMOTIONS,
        catalogue.CLEARING,
        catalogue.GOLDENS,
    ),
    replaces=_tables(catalogue.SCORES, catalogue.REVIEWS),
    appends=_FIGURES
    | {catalogue.DECISIONS, catalogue.SHARE_CAPS, catalogue.MONITOR, catalogue.CLEARING},
)
_VERSIONS: Final = Claim(reads=_tables(catalogue.REGISTRY, catalogue.PROMOTIONS))
_COMPARE: Final = _VERSIONS | Claim(reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS})
_LOOKS: Final = Claim(reads=_tables(catalogue.MONITOR))
_RETRAIN: Final = _GOLDEN | _FEATURIZE | _TRAIN | _REPORT | _REGISTER | _COMPARE | _LOOKS
_DESCRIBE: Final = Claim(reads=_JUDGED | {catalogue.GOLDENS}, appends=_FIGURES)
_TUNE: Final = Claim(
    reads=_JUDGED | {catalogue.REVIEWS, catalogue.GOLDENS},
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

_WHOLE: Final[tuple[Step, ...]] = (
    run_ingest, run_golden_if_wanted, run_featurize, run_train,
    run_score, run_report, run_register,
)  # fmt: skip

JOBS: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord(
            "ingest",
            "camera drop to the tables images, verdicts and rejects",
            (run_ingest,),
            _INGEST,
        ),
        JobRecord(
            "golden",
            "verified-good images to golden images of their positions",
            (run_golden,),
            _GOLDEN,
        ),
        JobRecord("featurize", "images to features", (run_featurize,), _FEATURIZE),
        JobRecord(
            "train",
            "features and verdicts to a judged model bundle",
            (run_train, run_report, run_register),
            _TRAIN | _REPORT | _REGISTER,
            fits=True,
        ),
        JobRecord(
            "score",
            "images and a bundle to scores",
            (run_golden_if_served, run_score, run_report),
            _GOLDEN | _SCORE | _REPORT,
        ),
        JobRecord(
            "export",
            "the model bundle to one that edge machines and the service decide with, signed",
            (run_export,),
            _EXPORT,
        ),
        JobRecord(
            "review-queue",
            "what is left for people, with pictures and heat maps, for the review page",
            (run_review_queue,),
            _REVIEW_QUEUE,
        ),
        JobRecord("report", "tables and bundle to one HTML file", (run_report,), _REPORT),
        JobRecord(
            "tune",
            "images and verdicts to trials of features and trees, ranked forward in time",
            (run_tune,),
            _TUNE,
            fits=True,
        ),
        JobRecord(
            "describe",
            "images and verdicts to metrics of how good the data are",
            (run_describe,),
            _DESCRIBE,
        ),
        JobRecord("compact", "many small files to few large ones", (run_compact,), _COMPACT),
        JobRecord("prune", "remove what was captured before a day", (run_prune,), _PRUNE),
        JobRecord(
            "run",
            "ingest, golden, featurize, train, score and report in one session",
            _WHOLE,
            reduce(or_, (_INGEST, _GOLDEN, _FEATURIZE, _TRAIN, _SCORE, _REPORT, _REGISTER)),
            fits=True,
        ),
        JobRecord(
            "nightly",
            "ingest what is new, and score by the champion what no night has scored",
            (run_nightly, run_report),
            _INGEST | _GOLDEN | _NIGHT | _REPORT,
        ),
        JobRecord(
            "retrain",
            "what has verdicts by now to a challenger, compared with the champion",
            (run_retrain,),
            _RETRAIN,
            fits=True,
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

#: What review-queue claims that keeps whom edge machines asked.
QUEUE_OF_DECISIONS: Final = _REVIEW_QUEUE | Claim(replaces=_tables(catalogue.REVIEWS))

#: What a night claims where a service takes in what arrives.
NIGHT_ALONE: Final = _NIGHT | _REPORT

_PROMOTE: Final = Claim(updates=_tables(catalogue.PROMOTIONS))

#: What follows ``pcb-spark model``.
MODEL: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord("list", "versions, and which one is champion", (run_list,), _VERSIONS),
        JobRecord("show", "one version: promise, training, figures", (run_show,), _VERSIONS),
        JobRecord("history", "every promotion: who, when, why", (run_history,), _VERSIONS),
        JobRecord(
            "register", "the bundle of paths.out as a version", (run_model_register,), _REGISTER
        ),
        JobRecord(
            "compare", "a version and the champion on the same images", (run_compare,), _COMPARE
        ),
        JobRecord(
            "promote",
            "make a version champion, if the gate lets it pass",
            (run_promote,),
            _COMPARE | _PROMOTE,
        ),
        JobRecord(
            "rollback",
            "make the champion before this one champion again",
            (run_rollback,),
            _VERSIONS | _PROMOTE,
        ),
    )
}

_BRAKE: Final = Claim(updates=_tables(catalogue.CLEARING))

#: What a person orders, and the next decision heeds.
ORDERS: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord(
            "stop-clearing",
            "send everything to operators, of a line or of all",
            (run_stop_clearing,),
            _BRAKE,
        ),
        JobRecord(
            "resume-clearing",
            "clear again what was stopped",
            (run_resume_clearing,),
            _BRAKE,
        ),
    )
}
