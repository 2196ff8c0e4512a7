"""A job: its session, its configuration, and the run that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pcb_spark.core.errors import (
    BackboneError,
    ConfigError,
    MonitorAlarm,
)
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import METRICS
from pcb_spark.network import backbone, inference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.leases import Lease
    from pcb_spark.learning import metrics
    from pcb_spark.pipeline.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every job needs: a ``lake.run.Run`` with the configuration.

    ``notes`` are lines for the summary, of what no table counts; ``promises`` what training
    promised, which goes before all figures; ``alarms`` what the monitor raised.
    """

    spark: SparkSession
    config: Config
    run_id: str
    lease: Lease | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    notes: list[str] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    @property
    def out(self) -> str:
        """Where the tables are."""
        return self.config.paths.out

    @property
    def config_sha256(self) -> str:
        """Identifies the configuration."""
        return self.config.sha256()

    def table(self, name: str) -> str:
        """Return the URI of a table of this run's output."""
        return tables.locate(self.out, name)

    def require_quiet(self) -> None:
        """End with an exit code of its own where the monitor raised an alarm.

        Raises
        ------
        MonitorAlarm : it did.
        """
        if self.alarms:
            raise MonitorAlarm(
                f"the night is done, and unlike the days of training: {self.alarms[0]}",
                got=f"{len(self.alarms)} alarm(s); the summary and the table monitor have all",
                hint="look at these images; docs/how-to/monitor.md says what may be behind it",
            )

    def plan(self, count: int) -> inference.InferencePlan:
        """Derive batches and partitions for ``count`` images on this session."""
        return inference.InferencePlan.derive(
            count=count,
            slots=session.task_slots(self.spark),
            threads=session.task_cpus(self.spark),
            max_pixels=self.config.ingest.max_pixels,
            images_per_partition=self.config.inference.images_per_partition,
            engine=self.config.inference.engine,
        )


def load_backbone(config: Config) -> backbone.Backbone:
    """Load the backbone that the configuration names."""
    wanted = config.backbone
    return backbone.load(
        wanted.weights,
        cache_dir=wanted.cache_folder,
        input_name=wanted.input,
        level_names=wanted.levels,
        sha256=wanted.sha256,
        seed=config.seed,
    )


def required(value: str, key: str) -> str:
    """Return a configured path that this job can't do without."""
    if not value:
        what = f"{key} is not set"
        raise ConfigError(what, hint=f"put it into the file, or --set {key}=...")
    return value


def refuse_untrained(config: Config, what: str, *, trained: bool) -> None:
    """Stop where an untrained backbone would pass for the one that is configured.

    Parameters
    ----------
    what : was made with the backbone, e.g. ``the model bundle``.

    Raises
    ------
    BackboneError : the backbone was untrained, and the configuration names other weights.
    """
    if trained or config.backbone.weights == backbone.UNTRAINED:
        return
    raise BackboneError(
        f"{what} was made with an untrained network, and backbone.weights names a trained one",
        expected=f"made with {config.backbone.weights}",
        got=backbone.UNTRAINED,
        hint="run featurize and train again; or, for a trial, say --set backbone.weights=untrained",
    )


def write_metrics(job: Job, found: Sequence[metrics.Metric], model_version: str) -> None:
    """Append figures of a model, or of a study, to ``metrics``."""
    rows = [
        (
            job.run_id, model_version, *row.scope, row.metric, row.value, row.lower, row.upper,
            row.n, job.started_at,
        )
        for row in found
    ]  # fmt: skip
    tables.append_rows(job.spark, rows, job.table(METRICS), schemas.METRICS)
