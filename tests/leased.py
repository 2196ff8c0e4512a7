"""Leases for tests: of jobs of this process, and of some that only sleep on another machine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.lake import leases
from pcb_spark.lake.claims import Claim
from pcb_spark.pipeline import Job
from pcb_spark.pipeline.jobs import JOBS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.leases import Lease


def writer(
    spark: SparkSession, out: Path, job: str, *tables: str
) -> contextlib.AbstractContextManager[Lease]:
    """The lease of a job that replaces these tables."""
    claim = Claim(replaces=frozenset(tables or ("table",)))
    return leases.held(spark, str(out), claim=claim, job=job, run_id=job)


class ClaimingJob(Job):
    """A job that fails where it asks for a table that it doesn't claim."""

    def table(self, name: str) -> str:
        assert self.lease is not None
        table = name.partition("/")[0]
        assert table in self.lease.holder.claim.tables, f"{self.lease.holder.job}: {name}"
        return super().table(name)


@contextlib.contextmanager
def claimed(job: Job, name: str) -> Iterator[Job]:
    """The same job, under the lease of the job ``name`` and held to what that claims."""
    out, claim = job.config.paths.out, JOBS[name].claim
    with leases.held(job.spark, out, claim=claim, job=name, run_id=job.run_id) as lease:
        yield ClaimingJob(
            spark=job.spark, config=job.config, run_id=job.run_id, lease=lease,
            started_at=job.started_at,
        )  # fmt: skip


def falls_asleep(lease: Lease, since: float = 0.0) -> None:
    """Let it look like one of another machine that wasn't renewed ``since`` (seconds of 1970)."""
    path = Path(lease.uri)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"place": "elsewhere"}))
    os.utime(path, (since, since))
