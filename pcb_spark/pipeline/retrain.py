"""Training again, on a schedule or when the monitor says so: a challenger, beside the champion.

Nothing is promoted: a person reads the comparison and decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.catalogue import MONITOR
from pcb_spark.monitor import findings
from pcb_spark.pipeline import approval
from pcb_spark.pipeline.featurize import run_featurize
from pcb_spark.pipeline.golden import run_golden_if_wanted
from pcb_spark.pipeline.models import run_compare
from pcb_spark.pipeline.register import keep_report, register
from pcb_spark.pipeline.report import run_report
from pcb_spark.pipeline.train import run_train
from pcb_spark.report import Contest

if TYPE_CHECKING:
    from pcb_spark.pipeline.job import Job
    from pcb_spark.pipeline.registry import Version


def run_retrain(job: Job, *, if_alarmed: bool = False) -> bool:
    """Train on all that has verdicts by now, register the challenger, and compare it.

    Parameters
    ----------
    if_alarmed : only where the monitor raised an alarm in a night of the present champion.

    Returns
    -------
    Whether it trained.
    """
    past = approval.history(job, job.config.registry.model)
    if if_alarmed and not _alarmed(job, past):
        job.notes.append("not trained again: no night of the champion has raised an alarm")
        return False
    run_golden_if_wanted(job)
    run_featurize(job)
    run_train(job)
    made = register(job)
    run_report(job, contest=_contest(job, made, past))
    keep_report(job, made)
    return True


def _contest(job: Job, made: Version, past: list[approval.Promotion]) -> Contest | None:
    """The challenger beside the champion; None where it has none, or is it."""
    if not past or past[-1].to_version == made.number:
        return None
    found = run_compare(job, version=made.number)
    return Contest(challenger=made.number, champion=past[-1].to_version, found=found)


def _alarmed(job: Job, past: list[approval.Promotion]) -> bool:
    if not past or not tables.exists(job.spark, job.table(MONITOR)):
        return False
    rows = tables.read(job.spark, job.table(MONITOR), schemas.MONITOR)
    own = F.col(names.MODEL_VERSION) == past[-1].model_version
    of_the_model = F.col("number") != findings.MISSED
    return not rows.where(own & of_the_model & (F.col("level") == findings.ALARM)).isEmpty()
