from __future__ import annotations

import dataclasses
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core.errors import (
    AccountingError,
    BackboneError,
    BundleError,
    ConfigError,
    InputError,
)
from pcb_spark.core.pairs import Reading
from pcb_spark.lake import run, schemas, tables
from pcb_spark.network.features import FeatureSet
from pcb_spark.network.graphs import FeatureSpec, features_graph
from pcb_spark.pipeline import (
    Counts,
    Job,
    artifacts,
    run_featurize,
    run_ingest,
    run_score,
    run_train,
)
from pcb_spark.pipeline import job as shared
from pcb_spark.pipeline.config import Config
from tests import drops
from tests.trunks import averaging_trunk

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> Job:
    return drops.job(spark, tmp_path / "drop", tmp_path / "out")


def books(job: Job) -> list[tuple[Any, ...]]:
    columns = ("job", "kind", "inputs", "rows_in", "rows_out", "rows_rejected", "config_sha256")
    return drops.rows(job.spark, Path(job.config.paths.out), "runs", *columns)


def test_balanced_books_become_a_row_for_each_kind(job: Job) -> None:
    counts = {
        "image": Counts(rows_in=10, rows_out=8, rows_rejected=2),
        "verdict": Counts(rows_in=3, rows_out=3, rows_rejected=0),
    }
    run.close_books(job, "ingest", counts, "file:/drop", began=0.0)
    sha = job.config.sha256()
    assert books(job) == [
        ("ingest", "image", "file:/drop", 10, 8, 2, sha),
        ("ingest", "verdict", "file:/drop", 3, 3, 0, sha),
    ]


@pytest.mark.parametrize(("rows_out", "rows_rejected"), [(7, 2), (8, 3), (0, 0)])
def test_books_that_do_not_balance_are_kept_and_fail_the_job(
    job: Job, rows_out: int, rows_rejected: int
) -> None:
    counts = {"image": Counts(rows_in=10, rows_out=rows_out, rows_rejected=rows_rejected)}
    message = rf"(?s)ingest lost rows of kind image.*got: {rows_out} \+ {rows_rejected}"
    with pytest.raises(AccountingError, match=message):
        run.close_books(job, "ingest", counts, "file:/drop", began=0.0)
    assert [row[3:6] for row in books(job)] == [(10, rows_out, rows_rejected)]


def test_run_remembers_what_it_ran_with(job: Job) -> None:
    counts = {"image": Counts(rows_in=0, rows_out=0, rows_rejected=0)}
    run.close_books(job, "score", counts, "in", began=time.monotonic() - 90)
    closed_at = datetime.now(UTC)
    out = Path(job.config.paths.out)
    (row,) = drops.rows(job.spark, out, "runs", "run_id", "started_at", "versions", "seconds")
    assert row[0] == drops.RUN_ID
    assert timedelta(seconds=90) <= closed_at - row[1].replace(tzinfo=UTC)
    assert '"pyspark": "3.5.9"' in row[2]
    assert 90 <= row[3] <= (closed_at - row[1].replace(tzinfo=UTC)).total_seconds()


def test_rejects_of_a_stage_are_marked_and_counted(job: Job) -> None:
    def rejects(*kinds: str) -> Any:
        rows = [(f"file:/{number}", kind, "reason") for number, kind in enumerate(kinds)]
        return job.spark.createDataFrame(rows, "source_uri string, kind string, reason string")

    def complete(df: Any) -> Any:
        empty = {"detail": "string", "length": "long", "capture_date": "date"}
        return df.withColumns({name: F.lit(None).cast(kind) for name, kind in empty.items()})

    assert run.write_rejects(job, complete(rejects("image", "image", "verdict")), "ingest") == {
        "image": 2,
        "verdict": 1,
    }
    # Another stage, and another run, count their own only.
    assert run.write_rejects(job, complete(rejects("image")), "featurize") == {"image": 1}
    other = dataclasses.replace(job, run_id="20260302T000000Z-ffffff")
    assert run.write_rejects(other, complete(rejects("verdict")), "ingest") == {"verdict": 1}
    kept = drops.rows(job.spark, Path(job.config.paths.out), "rejects", "run_id", "stage")
    assert kept == [
        (drops.RUN_ID, "featurize"),
        *[(drops.RUN_ID, "ingest")] * 3,
        (other.run_id, "ingest"),
    ]


def feature_set() -> FeatureSet:
    spec = FeatureSpec(
        levels=("layer1", "layer2"),
        pooling=("max", "mean"),
        reading=Reading(difference=True, max_offset=0.05, bit_depth=12),
    )
    return FeatureSet(
        spec=spec,
        graph=features_graph(averaging_trunk("layer1", "layer2"), spec),
        fingerprint="f" * 64,
        backbone_source="weights.onnx",
        backbone_sha256="b" * 64,
        trained=True,
        precision="fp32",
    )


def test_feature_set_read_is_the_one_written(job: Job) -> None:
    Path(job.config.paths.out).mkdir()
    artifacts.write_feature_set(job, feature_set())
    assert artifacts.read_feature_set(job) == feature_set()


@pytest.mark.parametrize(
    ("stage", "error", "message"),
    [
        (run_ingest, InputError, "the drop .*/drop can't be read"),
        (run_featurize, InputError, "no table at .*/out/images"),
        (run_train, InputError, r"(?s)no feature set at .*/out/feature_set.*featurize"),
        (run_score, InputError, "no table at .*/out/images"),
    ],
)
def test_stage_names_what_it_lacks(
    job: Job, stage: Any, error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        stage(job)


def test_bundle_that_is_not_there_is_named_by_its_place(job: Job) -> None:
    with pytest.raises(BundleError, match=f"no model bundle in {job.config.paths.out}/bundle"):
        artifacts.read_bundle(job)


def test_table_without_images_is_refused(job: Job) -> None:
    empty = job.spark.createDataFrame([], schemas.IMAGES)
    tables.replace(empty, job.table("images"), schemas.IMAGES, by_date=True)
    with pytest.raises(InputError, match="the images table is empty"):
        run_featurize(job)


def test_plan_follows_from_session_and_configuration(spark: SparkSession, tmp_path: Path) -> None:
    asked = drops.job(
        spark, "drop", tmp_path, "inference.images_per_partition=10", "ingest.max_pixels=77"
    ).plan(25)
    # local[2]: two slots of one thread; 25 images in tens are two waves of two.
    assert (asked.batch_size, asked.partitions, asked.threads, asked.max_pixels) == (8, 4, 1, 77)


def test_table_is_named_below_the_output(spark: SparkSession, tmp_path: Path) -> None:
    job = drops.job(spark, "drop", tmp_path)
    assert job.table("scores") == f"{tmp_path}/scores"
    slashed = dataclasses.replace(job, config=Config.model_validate({"paths": {"out": "s3a://b/"}}))
    assert slashed.table("scores") == "s3a://b/scores"


def test_required_path_that_is_not_set_is_named() -> None:
    assert shared.required("drop", "paths.drop") == "drop"
    with pytest.raises(ConfigError, match=re.escape("paths.drop is not set")):
        shared.required("", "paths.drop")


@pytest.mark.parametrize(
    ("weights", "trained"), [("w.onnx", True), ("untrained", True), ("untrained", False)]
)
def test_backbone_passes_if_trained_or_untrained_by_name(weights: str, trained: bool) -> None:
    config = Config.model_validate({"backbone": {"weights": weights}})
    shared.refuse_untrained(config, "the model bundle", trained=trained)


def test_untrained_backbone_is_refused_where_others_are_named() -> None:
    config = Config.model_validate({"backbone": {"weights": "w.onnx"}})
    with pytest.raises(BackboneError) as caught:
        shared.refuse_untrained(config, "the model bundle", trained=False)
    assert str(caught.value) == (
        "the model bundle was made with an untrained network, and backbone.weights names a trained "
        "one\n  expected: made with w.onnx\n  got: untrained\n"
        "  next: run featurize and train again; or, for a trial, say "
        "--set backbone.weights=untrained"
    )


def test_job_starts_when_it_is_made(spark: SparkSession, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    assert before <= drops.job(spark, "drop", tmp_path).started_at <= datetime.now(UTC)
