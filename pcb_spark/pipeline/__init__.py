"""The jobs: each reads its tables, runs its stage, writes the answer and one row of ``runs``.

A job checks its own books: what went in came out or was rejected with a reason, or it fails.

What stands in ``__all__`` is imported when it is asked for: to read a configuration, or the help of
the command line, takes no Spark.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcb_spark.lake.run import Counts
    from pcb_spark.pipeline.compact import run_compact
    from pcb_spark.pipeline.describe import run_describe
    from pcb_spark.pipeline.featurize import run_featurize
    from pcb_spark.pipeline.golden import run_golden
    from pcb_spark.pipeline.ingest import run_ingest, run_ingest_continuously
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.nightly import run_nightly
    from pcb_spark.pipeline.prune import run_prune
    from pcb_spark.pipeline.register import run_register
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
    "run_golden",
    "run_ingest",
    "run_ingest_continuously",
    "run_nightly",
    "run_prune",
    "run_register",
    "run_report",
    "run_score",
    "run_train",
    "run_tune",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    modules = {"Counts": "pcb_spark.lake.run", "Job": f"{__name__}.job"}
    own = name.removeprefix("run_").removesuffix("_continuously")
    return getattr(importlib.import_module(modules.get(name, f"{__name__}.{own}")), name)
