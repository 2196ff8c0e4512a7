"""The jobs: each reads its tables, runs its stage, writes the answer and one row of ``runs``.

A job checks its own books: what went in came out or was rejected with a reason, or it fails.
"""

from pcb_spark.lake.run import Counts
from pcb_spark.pipeline.compact import run_compact
from pcb_spark.pipeline.describe import run_describe
from pcb_spark.pipeline.featurize import run_featurize
from pcb_spark.pipeline.ingest import run_ingest, run_ingest_continuously
from pcb_spark.pipeline.job import Job
from pcb_spark.pipeline.prune import run_prune
from pcb_spark.pipeline.report import run_report
from pcb_spark.pipeline.score import run_score
from pcb_spark.pipeline.train import run_train
from pcb_spark.pipeline.tune import run_tune

__all__ = [
    "Counts",
    "Job",
    "run_compact",
    "run_describe",
    "run_featurize",
    "run_ingest",
    "run_ingest_continuously",
    "run_prune",
    "run_report",
    "run_score",
    "run_train",
    "run_tune",
]
