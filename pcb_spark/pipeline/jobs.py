"""The jobs by their names: what each does, in which steps, and with which tables.

The command line is made of these records, and leases by what they claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pcb_spark.lake.claims import Claim
from pcb_spark.pipeline import claims
from pcb_spark.pipeline.clearing import run_resume_clearing, run_stop_clearing
from pcb_spark.pipeline.compact import run_compact
from pcb_spark.pipeline.decision_files import run_decisions
from pcb_spark.pipeline.describe import run_describe
from pcb_spark.pipeline.explain import run_explain
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
    from pcb_spark.pipeline.config import Config
    from pcb_spark.pipeline.job import Job

Step = Callable[["Job"], object]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What there is to know of a job before it runs.

    ``claim`` says which tables it works on, ``fits`` whether it fits trees by LightGBM on Spark,
    ``infers`` whether it puts images through the network.
    """

    name: str
    help: str
    steps: tuple[Callable[..., object], ...]
    claim: Claim
    fits: bool = False
    infers: bool = False

    def lasts(self, config: Config) -> bool:
        """Whether Java may be at work for minutes: the service's is, and SynapseML's network."""
        return self.claim.pauses or (self.infers and config.needs_synapseml)


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
            claims.INGEST,
        ),
        JobRecord(
            "golden",
            "verified-good images to golden images of their positions",
            (run_golden,),
            claims.GOLDEN,
        ),
        JobRecord(
            "featurize",
            "images to features",
            (run_featurize,),
            claims.FEATURIZE,
            infers=True,
        ),
        JobRecord(
            "train",
            "features and verdicts to a judged model bundle",
            (run_train, run_report, run_register),
            claims.TRAIN | claims.REPORT | claims.REGISTER,
            fits=True,
        ),
        JobRecord(
            "score",
            "images and a bundle to scores",
            (run_golden_if_served, run_score, run_report),
            claims.GOLDEN | claims.SCORE | claims.REPORT,
            infers=True,
        ),
        JobRecord(
            "export",
            "the model bundle to one that edge machines and the service decide with, signed",
            (run_export,),
            claims.EXPORT,
        ),
        JobRecord(
            "review-queue",
            "what is left for people, with pictures and heat maps, for the review page",
            (run_review_queue,),
            claims.REVIEW_QUEUE,
        ),
        JobRecord("report", "tables and bundle to one HTML file", (run_report,), claims.REPORT),
        JobRecord(
            "explain",
            "one board: its images, and what was decided of each and why, as a page or JSON",
            (run_explain,),
            claims.EXPLAIN,
        ),
        JobRecord(
            "decisions",
            "what nights decided, for AOI and MES: CFX, CSV or JSON, a file a board",
            (run_decisions,),
            claims.DECISIONS,
        ),
        JobRecord(
            "tune",
            "images and verdicts to trials of features and trees, ranked forward in time",
            (run_tune,),
            claims.TUNE,
            fits=True,
        ),
        JobRecord(
            "describe",
            "images and verdicts to metrics of how good the data are",
            (run_describe,),
            claims.DESCRIBE,
        ),
        JobRecord("compact", "many small files to few large ones", (run_compact,), claims.COMPACT),
        JobRecord("prune", "remove what was captured before a day", (run_prune,), claims.PRUNE),
        JobRecord(
            "run",
            "ingest, golden, featurize, train, score and report in one session",
            _WHOLE,
            claims.WHOLE,
            fits=True,
        ),
        JobRecord(
            "nightly",
            "ingest what is new, and score by the champion what no night has scored",
            (run_nightly, run_report),
            claims.INGEST | claims.GOLDEN | claims.NIGHT | claims.REPORT,
            infers=True,
        ),
        JobRecord(
            "retrain",
            "what has verdicts by now to a challenger, compared with the champion",
            (run_retrain,),
            claims.RETRAIN,
            fits=True,
        ),
    )
}

#: The ETL service: it pauses for upkeep.
SERVICE: Final = JobRecord(
    "ingest",
    "take in what arrives until SIGTERM or SIGINT",
    (run_ingest_continuously,),
    claims.INGEST | Claim(pauses=True),
)

#: What follows ``pcb-spark model``.
MODEL: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord("list", "versions, and which one is champion", (run_list,), claims.VERSIONS),
        JobRecord("show", "one version: promise, training, figures", (run_show,), claims.VERSIONS),
        JobRecord("history", "every promotion: who, when, why", (run_history,), claims.VERSIONS),
        JobRecord(
            "register",
            "the bundle of paths.out as a version",
            (run_model_register,),
            claims.REGISTER,
        ),
        JobRecord(
            "compare",
            "a version and the champion on the same images",
            (run_compare,),
            claims.COMPARE,
            infers=True,
        ),
        JobRecord(
            "promote",
            "make a version champion, if the gate lets it pass",
            (run_promote,),
            claims.COMPARE | claims.PROMOTE,
            infers=True,
        ),
        JobRecord(
            "rollback",
            "make the champion before this one champion again",
            (run_rollback,),
            claims.VERSIONS | claims.PROMOTE,
        ),
    )
}

#: What a person orders, and the next decision heeds.
ORDERS: Final[dict[str, JobRecord]] = {
    record.name: record
    for record in (
        JobRecord(
            "stop-clearing",
            "send everything to operators, of a line or of all",
            (run_stop_clearing,),
            claims.BRAKE,
        ),
        JobRecord(
            "resume-clearing",
            "clear again what was stopped",
            (run_resume_clearing,),
            claims.BRAKE,
        ),
    )
}
