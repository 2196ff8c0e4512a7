"""A search over a rendered drop, then a second one that finds the first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.demo.camera_drop import render_drop
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.pipeline import Job, run_ingest, run_tune, summary
from tests import drops
from tests.leased import claimed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = (
    "seed=11", "backbone.weights=untrained", "folds.n=2",
    "classifier.num_iterations=20", "classifier.min_data_in_leaf=3", "tune.levels=['layer1']",
    "features.image_levels=['layer1']",
    "policy.bootstrap_resamples=20", "policy.max_slip_rate=0.3", "tune.trials=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def job(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Job:
    root, out = tmp_path_factory.mktemp("drop"), tmp_path_factory.mktemp("out")
    render_drop(root, images=80, weeks=1, seed=5, unverified=0.05)
    made = drops.job(spark, root, out, *SETTINGS, f"tune.storage={out}/tune.db")
    run_ingest(made)
    return made


@pytest.mark.slow
def test_trials_of_both_reference_modes_and_a_search_that_finds_them_again(
    spark: SparkSession, job: Job
) -> None:
    out = Path(job.config.paths.out)

    with claimed(job, "tune") as own:
        counts = run_tune(own)

    assert counts.rows_in == counts.rows_out > 70
    columns = ("trial", "levels", "difference", "feature_count", "roc_auc", "milliseconds")
    trials = drops.rows(spark, out, "trials", *columns, "classifier")
    assert len(trials) == 2
    for _, levels, _, count, auc, milliseconds, classifier in trials:
        assert levels == ["layer1"]
        # Of the difference, and behind it of layer1 of the image itself.
        assert count in (256, 512, 512 + 512, 1024 + 512)
        assert 0 <= auc <= 1
        assert milliseconds > 0
        assert ClassifierConfig.model_validate_json(classifier).num_leaves is not None
    figures = drops.rows(spark, out, "metrics", "scope_kind", "scope_value", "metric", "value")
    aucs = {row[:2]: row[3] for row in figures if row[2] == "roc_auc"}
    assert aucs == {("trial", str(row[0])): row[4] for row in trials}
    assert "best of 2 trials" in summary.of_run(job)
    for mode in ("difference", "none"):
        features = drops.rows(spark, out, f"tune_features_{mode}", "image_id")
        assert len(features) == counts.rows_out

    again = run_tune(job)

    assert again == counts
    both = drops.rows(spark, out, "trials", "trial", "roc_auc")
    assert sorted(set(both)) == sorted({(row[0], row[4]) for row in trials})
    assert len(both) == 4
