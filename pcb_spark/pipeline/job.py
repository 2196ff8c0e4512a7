"""A job: its session, its configuration, and the run that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pcb_spark.core.errors import (
    BackboneError,
    ConfigError,
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
    """What every job needs: a ``lake.run.Run`` with the configuration."""

    spark: SparkSession
    config: Config
    run_id: str
    lease: Lease | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

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

    def plan(self, count: int) -> inference.InferencePlan:
        """Derive batches and partitions for ``count`` images on this session."""
        return inference.InferencePlan.derive(
            count=count,
            slots=session.task_slots(self.spark),
            threads=session.task_cpus(self.spark),
            max_pixels=self.config.ingest.max_pixels,
            batch_size=self.config.inference.batch_size,
            images_per_partition=self.config.inference.images_per_partition,
        )


def load_backbone(config: Config) -> backbone.Backbone:
    """Load the backbone that the configuration names."""
    wanted = config.backbone
    return backbone.load(
        wanted.weights,
        cache_dir=wanted.cache_folder,
        input_name=wanted.input,
        level_names=wanted.levels,
        allow_untrained=wanted.allow_untrained,
        sha256=wanted.sha256,
        seed=config.seed,
    )


def required(value: str, key: str) -> str:
    """Return a configured path that this job can't do without."""
    if not value:
        what = f"{key} is not set"
        raise ConfigError(what, hint=f"put it into the file, or --set {key}=...")
    return value


def refuse_untrained(config: Config, *, trained: bool, source: str) -> None:
    """Stop where an untrained backbone would pass for a real one.

    Raises
    ------
    BackboneError : the backbone is untrained and the configuration doesn't allow it.
    """
    if trained or config.backbone.allow_untrained:
        return
    what = f"the backbone {source} is untrained"
    raise BackboneError(
        what,
        expected="ImageNet-pretrained weights",
        hint="set backbone.weights and featurize again, or allow it for a trial with "
        "--set backbone.allow_untrained=true",
    )


def write_metrics(job: Job, found: Sequence[metrics.Metric], model_version: str) -> None:
    """Append figures of a model, or of a study, to ``metrics``."""
    rows = [
        (
            job.run_id, model_version, row.scope, row.metric, row.value, row.lower, row.upper,
            row.n, job.started_at,
        )
        for row in found
    ]  # fmt: skip
    tables.append_rows(job.spark, rows, job.table(METRICS), schemas.METRICS)
