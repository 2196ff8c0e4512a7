"""What every job shares: its session and tables, its books, and the bundle on any file system."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from pyspark.sql import functions as F

import pcb_spark
from pcb_spark import backbone, bundle, inference, session, tables
from pcb_spark import schemas as s
from pcb_spark.errors import (
    AccountingError,
    BackboneError,
    BundleError,
    ConfigError,
    InputError,
)
from pcb_spark.features import FeatureSet
from pcb_spark.graphs import FeatureSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from pcb_spark.config import Config
    from pcb_spark.leases import Lease

log = logging.getLogger(__name__)

IMAGES, REJECTS, VERDICTS = "images", "rejects", "verdicts"
FILES, SIDECARS = "files", "sidecars"
FEATURES, FEATURE_SET = "features", "feature_set"
OUT_OF_FOLD, SCORES, METRICS, RUNS = "out_of_fold", "scores", "metrics", "runs"
SUSPECTS, TRIALS = "suspects", "trials"
BUNDLE = "bundle"
REPORT, REPORTS = "report.html", "reports"

_LIBRARIES = ("pyspark", "synapseml", "petastorm", "onnx", "onnxmltools", "lightgbm", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every job needs: the session, the configuration and the run's id.

    ``lease`` keeps others off the tables; a notebook's or a test's job goes without.
    """

    spark: SparkSession
    config: Config
    run_id: str
    lease: Lease | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def table(self, name: str) -> str:
        """Return the URI of a table of this run's output."""
        return tables.locate(self.config.paths.out, name)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A job's books for one kind of row."""

    rows_in: int
    rows_out: int
    rows_rejected: int


def load_backbone(config: Config) -> backbone.Backbone:
    """Load the backbone that the configuration names."""
    wanted = config.backbone
    return backbone.load(
        wanted.weights,
        cache_dir=Path(wanted.cache).expanduser(),
        input_name=wanted.input,
        level_names=wanted.levels,
        allow_untrained=wanted.allow_untrained,
        sha256=wanted.sha256,
        seed=config.seed,
    )


def read_bundle(job: Job) -> bundle.Bundle:
    """Read the bundle of this run's output; every hash is checked.

    Raises
    ------
    BundleError : there is none, it can't be read, or it was changed.
    """
    uri = job.table(BUNDLE)
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / BUNDLE
        local.mkdir()
        try:
            with tables.spark_failures(f"the bundle {uri} can't be read", hint="copy it again"):
                if tables.exists(job.spark, uri):
                    tables.download(job.spark, uri, local)
        except InputError as error:
            raise BundleError(error.what, got=error.got, hint=error.hint) from None
        return bundle.read(local, where=uri)


def write_bundle(
    job: Job, manifest: Mapping[str, object], parts: Mapping[str, bytes]
) -> bundle.Bundle:
    """Write the bundle beside its place and move it there as a whole."""
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / BUNDLE
        written = bundle.write(local, manifest, parts)
        with tables.staged(job.spark, job.table(BUNDLE)) as staging:
            tables.upload(job.spark, local, staging)
    return written


def close_books(
    job: Job, name: str, counts: Mapping[str, Counts], inputs: str, began: float
) -> None:
    """Append a row to ``runs`` for each kind of row and check that none got lost.

    Raises
    ------
    AccountingError : rows in are not rows out plus rejects.
    """
    seconds = time.monotonic() - began
    started_at = datetime.now(UTC) - timedelta(seconds=seconds)
    rows = [
        (
            job.run_id, name, kind, inputs, c.rows_in, c.rows_out, c.rows_rejected,
            started_at, seconds, json.dumps(versions()), git_sha(), job.config.sha256(),
        )
        for kind, c in counts.items()
    ]  # fmt: skip
    tables.append_rows(job.spark, rows, job.table(RUNS), s.RUNS)
    for kind, c in counts.items():
        log.info(
            "%s: %d %s rows in, %d out, %d rejected, %.1f s",
            name, c.rows_in, kind, c.rows_out, c.rows_rejected, seconds,
        )  # fmt: skip
        if c.rows_in != c.rows_out + c.rows_rejected:
            what = f"{name} lost rows of kind {kind}"
            raise AccountingError(
                what,
                expected=f"{c.rows_in} = out + rejected",
                got=f"{c.rows_out} + {c.rows_rejected}",
                hint="don't use this run's tables; keep the log and report it",
            )


def versions() -> dict[str, str]:
    """Return the versions that a run depends on."""
    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {"pcb_spark": pcb_spark.__version__, "python": platform.python_version(), **found}


def git_sha() -> str | None:
    """Return the commit of the checkout this package runs from, or null outside of one."""
    git = shutil.which("git")
    if git is None:
        return None
    home = Path(__file__).resolve().parent
    command = [git, "-C", str(home), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def write_rejects(job: Job, rejects: DataFrame, stage: str) -> dict[str, int]:
    """Append ``rejects`` of this run and return how many there are of each kind."""
    marked = rejects.withColumns({
        s.STAGE: F.lit(stage),
        s.SEEN_AT: F.lit(job.started_at),
        s.RUN_ID: F.lit(job.run_id),
    })  # fmt: skip
    tables.append(marked, job.table(REJECTS), s.REJECTS)
    written = tables.read(job.spark, job.table(REJECTS), s.REJECTS)
    own = written.where((F.col(s.RUN_ID) == job.run_id) & (F.col(s.STAGE) == stage))
    return {row[s.KIND]: row["count"] for row in own.groupBy(s.KIND).count().collect()}


def count_rows(job: Job, name: str, schema: StructType) -> int:
    """Count the rows that a table holds on disk."""
    return tables.read(job.spark, job.table(name), schema).count()


@contextlib.contextmanager
def few_shuffle_partitions(spark: SparkSession) -> Iterator[None]:
    """Make two a task slot, where Spark's 200 would be tasks of no rows.

    Elsewhere adaptive execution puts small ones together; Spark leaves it out for streams and for
    what is cached, and these jobs are made of those.
    """
    key = "spark.sql.shuffle.partitions"
    before = spark.conf.get(key) or "200"
    spark.conf.set(key, min(int(before), 2 * session.task_slots(spark)))
    try:
        yield
    finally:
        spark.conf.set(key, before)


def required(value: str, key: str) -> str:
    """Return a configured path that this job can't do without."""
    if not value:
        what = f"{key} is not set"
        raise ConfigError(what, hint=f"put it into the file, or --set {key}=...")
    return value


def write_feature_set(job: Job, feature_set: FeatureSet) -> None:
    """Keep the graph that made the ``features`` table beside it, for the bundle."""
    about = {
        "fingerprint": feature_set.fingerprint,
        "levels": feature_set.spec.levels,
        "pooling": feature_set.spec.pooling,
        "difference": feature_set.spec.difference,
        "max_offset": feature_set.spec.max_offset,
        "precision": feature_set.precision,
        "backbone_source": feature_set.backbone_source,
        "backbone_sha256": feature_set.backbone_sha256,
        "trained": feature_set.trained,
    }
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch) / FEATURE_SET
        local.mkdir()
        (local / "features.onnx").write_bytes(feature_set.graph.SerializeToString())
        (local / "feature_set.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        with tables.staged(job.spark, job.table(FEATURE_SET)) as staging:
            tables.upload(job.spark, local, staging)


def read_feature_set(job: Job) -> FeatureSet:
    """Read what ``write_feature_set`` kept.

    Raises
    ------
    InputError : there is none: featurize has not run.
    """
    uri = job.table(FEATURE_SET)
    if not tables.exists(job.spark, uri):
        what = f"no feature set at {uri}"
        raise InputError(what, hint="run the featurize job first")
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch)
        tables.download(job.spark, uri, local)
        about = json.loads((local / "feature_set.json").read_text(encoding="utf-8"))
        graph = onnx.load(local / "features.onnx")
    spec = FeatureSpec(
        levels=tuple(about.pop("levels")),
        pooling=tuple(about.pop("pooling")),
        difference=about.pop("difference"),
        max_offset=about.pop("max_offset", 0.0),
    )
    return FeatureSet(spec=spec, graph=graph, **about)


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
