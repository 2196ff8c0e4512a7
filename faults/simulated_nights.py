"""The jobs of a simulated plant, in one Spark session, by the plant's own clock.

Operators answer on the next working day, and say what is true of the images that they are shown:
those that have a ``review``, and no others.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyspark.sql import functions as F

from faults import simulated_days
from faults.kill_nightly import Outcome, Plant, compare
from faults.simulated_days import Plan, day_of
from pcb_spark.core import names
from pcb_spark.core.errors import ApprovalError
from pcb_spark.lake import exchange, leases, schemas, tables
from pcb_spark.lake.catalogue import SCORES
from pcb_spark.pipeline import config as configuration
from pcb_spark.pipeline.clearing import Signed as Ordered
from pcb_spark.pipeline.clearing import run_resume_clearing, stopped
from pcb_spark.pipeline.featurize import run_featurize
from pcb_spark.pipeline.ingest import run_ingest
from pcb_spark.pipeline.job import Job
from pcb_spark.pipeline.jobs import JOBS, MODEL, ORDERS
from pcb_spark.pipeline.models import Signed, run_promote
from pcb_spark.pipeline.nightly import Days, run_nightly
from pcb_spark.pipeline.register import run_register
from pcb_spark.pipeline.retrain import run_retrain
from pcb_spark.pipeline.train import run_train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS: Final = (
    "seed=11", 'backbone.weights="untrained"', 'backbone.precision="int8"',
    "features.levels=['pixels','layer1']", 'inference.engine="onnxruntime"',
    "folds.n=3", "classifier.num_iterations=60", "folds.learning_curve=0",
    "policy.max_slip_rate=0.05", "policy.bootstrap_resamples=200", "report.gallery=0",
    "scoring.control_share=0.1", "scoring.audit_share=0.2", 'monitor.on_alarm="line"',
)  # fmt: skip
#: One tree of two leaves, which may let a third of all defects slip: nobody's next champion.
WORSE: Final = (
    "classifier.num_iterations=1", "classifier.num_leaves=2", "classifier.linear=false",
    "policy.max_slip_rate=0.3",
)  # fmt: skip
_RECORDS: Final = {**JOBS, **MODEL, **ORDERS}
_BY: Final = "simulate"
_EARLY, _MORNING, _NOON = time(3), time(9), time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nights:
    """A simulated plant below ``folder``: what was rendered, the drop, and its tables."""

    spark: SparkSession
    folder: Path
    plan: Plan
    settings: Sequence[str] = SETTINGS

    @property
    def drop(self) -> Path:
        """The camera drop, to which days arrive."""
        return self.folder / "drop"

    @property
    def out(self) -> Path:
        """The tables."""
        return self.folder / "out"

    @property
    def rendered(self) -> Path:
        """Days that were rendered ahead."""
        return self.folder / "rendered"

    @property
    def moment(self) -> datetime:
        """Noon behind the last night."""
        return _at(self.plan.days - 1, _NOON, days=1)

    @contextlib.contextmanager
    def job(self, name: str, moment: datetime, *settings: str) -> Iterator[Job]:
        """A job at a moment of the plant's clock, with its lease."""
        told = (f"paths.drop='{self.drop}'", f"paths.out='{self.out}'", *self.settings, *settings)
        claim, run_id = _RECORDS[name].claim, f"{moment:%Y%m%dT%H%M%SZ}-{name.replace(' ', '-')}"
        exchange.mend(self.spark, str(self.out), claim, run_id=run_id)
        with leases.held(self.spark, str(self.out), claim=claim, job=name, run_id=run_id) as lease:
            yield Job(
                spark=self.spark, config=configuration.load(None, told), run_id=run_id,
                lease=lease, started_at=moment,
            )  # fmt: skip

    def train(self) -> list[str]:
        """Judge the first days whole, train on them, and promote what came of it."""
        for number in range(self.plan.training):
            self.arrive(number)
            self._answer(number, simulated_days.truth(self.rendered, number))
        moment = _at(self.plan.training - 1, _NOON, days=1)
        for name, step in (("ingest", run_ingest), ("featurize", run_featurize)):
            with self.job(name, moment) as job:
                step(job)
        with self.job("train", moment) as job:
            run_train(job)
            run_register(job)
        return [*job.notes, *self.promote("1", moment)]

    def arrive(self, number: int) -> None:
        """Let the images of a day lie in the drop, and a file that says of which boards.

        The golden images lie there from the first day on.
        """
        shutil.copytree(self.rendered / "references", self.drop / "references", dirs_exist_ok=True)
        day = f"{day_of(number)}"
        images = self.rendered / day / "images"
        shutil.copytree(images, self.drop / "images", dirs_exist_ok=True)
        told = [
            {**row, "verdict": "", "defects": ""}
            for row in simulated_days.truth(self.rendered, number)
        ]
        simulated_days.write(self.drop / "verdicts" / f"{day}-boards.csv", told)

    def night(self, number: int) -> list[str]:
        """The night behind a day, and the operators' answers to what it asked for."""
        with self.job("nightly", _at(number, _EARLY, days=1)) as job:
            run_nightly(job, days=Days(), take_in=True)
        asked = tables.read(self.spark, job.table(SCORES), schemas.SCORES).where(
            F.col(names.REVIEW).isNotNull() & (F.col(names.RUN_ID) == job.run_id)
        )
        uris = (row[0] for row in asked.select(names.SOURCE_URI).collect())
        shown = {uri[uri.rindex("images/") :] for uri in uris}
        every = range(self.plan.training, number + 1)
        days = (simulated_days.truth(self.rendered, each) for each in every)
        self._answer(number, [row for rows in days for row in rows if row["image"] in shown])
        return job.notes

    def retrain(self, number: int, *settings: str) -> list[str]:
        """Train a challenger at noon behind the night of a day, and try to promote it."""
        moment = _at(number, _NOON, days=1)
        with self.job("retrain", moment, *settings) as job:
            run_retrain(job)
        return [*job.notes, *self.promote("challenger", moment)]

    def promote(self, version: str, moment: datetime) -> list[str]:
        """Ask the gate, and say what it says."""
        with self.job("promote", moment) as job:
            try:
                run_promote(job, version=version, signed=Signed(who=_BY, why=None), force=False)
            except ApprovalError as error:
                return [*job.notes, f"refused: {error}"]
        return job.notes

    def resume(self, number: int) -> list[str]:
        """Somebody has looked, before the night of a day, at what the monitor stopped."""
        with self.job("resume-clearing", _at(number, _NOON)) as job:
            for line in stopped(job):
                run_resume_clearing(job, line=line, signed=Ordered(who=_BY, why="lamp changed"))
        return job.notes

    def night_by_command(self, number: int) -> list[str]:
        """A night as ``night``, and beside it by the command on a copy; what differs is a fault."""
        twin = Plant(drop=self.drop, out=self.folder / "twin", settings=self.settings)
        shutil.rmtree(twin.out, ignore_errors=True)
        shutil.copytree(self.out, twin.out)
        twin.call("nightly", "--set", f"scoring.until={day_of(number)}")
        notes = self.night(number)
        found = Outcome()
        compare(self.out, twin.out, found)
        shutil.rmtree(twin.out)
        return [*notes, *(f"unlike the command: {fault}" for fault in found.faults)]

    def _answer(self, number: int, rows: Sequence[dict[str, str]]) -> None:
        """Write down what operators say on the working day after ``number``."""
        start = _at(number + 1, _MORNING)
        told = [
            {name: row[name] for name in ("image", "verdict", "defects")}
            | {"verified_at": f"{start + timedelta(seconds=20 * nth):%Y-%m-%dT%H:%M:%SZ}"}
            for nth, row in enumerate(rows)
        ]
        path = self.drop / "verdicts" / f"{day_of(number + 1)}-operators.csv"
        simulated_days.write(path, told)


def _at(number: int, moment: time, *, days: int = 0) -> datetime:
    return datetime.combine(day_of(number) + timedelta(days=days), moment, UTC)
