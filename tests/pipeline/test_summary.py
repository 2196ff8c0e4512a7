from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import summary
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 4, tzinfo=UTC)
OTHER = "20260101T000000Z-000000"


@pytest.fixture
def job(spark: SparkSession, tmp_path: Path) -> Job:
    return drops.job(spark, "drop", tmp_path)


def write_runs(job: Job) -> None:
    rows = [
        (job.run_id, "train", "image", "in", 95, 90, 5, NOW, 61.4, "{}", None, "sha"),
        (job.run_id, "ingest", "image", "in", 100, 96, 4, NOW, 99.6, "{}", None, "sha"),
        (OTHER, "score", "image", "in", 1, 1, 0, NOW, 1.0, "{}", None, "sha"),
    ]
    tables.append_rows(job.spark, rows, job.table("runs"), schemas.RUNS)


def write_metrics(job: Job) -> None:
    rows = [
        ("folds_mean", None, "roc_auc", 0.98765, 0.97, 0.995, 60),
        ("overall", None, "roc_auc", 0.9, None, None, 60),
        ("fold", "2", "roc_auc", None, None, None, 20),
        ("fold", "1", "roc_auc", 0.95, 0.9, 0.99, 40),
        ("folds_mean", None, "baseline_roc_auc", 0.75, 0.7, 0.8, 60),
        ("overall", None, "slip_rate", 0.01, 0.0, 0.02, 30),
        ("line", "L1", "roc_auc", 0.5, None, None, 60),
    ]
    full = [(job.run_id, "v1", *row, NOW) for row in rows]
    full.append((OTHER, "v0", "overall", None, "roc_auc", 0.1, None, None, 9, NOW))
    tables.append_rows(job.spark, full, job.table("metrics"), schemas.METRICS)


def write_scores(job: Job, *, known: bool | None = False) -> None:
    decisions = [
        ("pass", None), ("fail", "decision"), ("pass", "audit"), ("unscorable", "unscorable"),
        ("pass", None),
    ]  # fmt: skip
    rows = [
        (
            f"i{number}", "uri", "L1", None, "b", "R1", None, NOW, "ok", None, 0.5, 0.6, decision,
            why, 1.0, known, None, "v1", "sha", "set", job.run_id if number < 4 else OTHER,
            LATER, date(2026, 2, 1),
        )
        for number, (decision, why) in enumerate(decisions)
    ]  # fmt: skip
    tables.append_rows(job.spark, rows, job.table("scores"), schemas.SCORES)


def test_summary_of_a_whole_run_tells_its_own_books_figures_and_decisions(job: Job) -> None:
    write_runs(job)
    write_metrics(job)
    write_scores(job)
    assert summary.of_run(job).splitlines() == [
        f"run {job.run_id}",
        "ingest        100 image rows in = 96 out + 4 rejected   100 s",
        "train          95 image rows in = 90 out + 5 rejected   61 s",
        "AUC folds_mean: 0.9877 [0.970, 0.995], n = 60",
        "AUC overall: 0.9000, n = 60",
        "AUC fold=1: 0.9500 [0.900, 0.990], n = 40",
        "AUC fold=2: undefined, one class only, n = 20",
        "AUC pixel difference (folds_mean): 0.7500 [0.700, 0.800], n = 60",
        "decisions 1 fail, 2 pass, 1 unscorable",
        "to an operator 1 audit, 1 decision, 1 unscorable",
        f"tables  {job.config.paths.out}",
    ]


def test_decisions_on_images_that_the_model_knows_say_so(job: Job) -> None:
    write_scores(job, known=True)
    assert summary.of_run(job).splitlines()[1:-1] == [
        "decisions 1 fail, 2 pass, 1 unscorable, of 4 images from the days that the model was "
        "trained on: they flatter it",
    ]


def test_summary_of_an_ingest_alone_has_its_books(job: Job) -> None:
    write_runs(job)
    lines = summary.of_run(job).splitlines()
    assert [line.split()[0] for line in lines] == ["run", "ingest", "train", "tables"]


def test_a_review_queue_has_its_books(job: Job) -> None:
    row = (job.run_id, "review-queue", "image", "in", 5, 5, 0, NOW, 2.0, "{}", None, "sha")
    tables.append_rows(job.spark, [row], job.table("runs"), schemas.RUNS)

    assert summary.of_run(job).splitlines()[1] == (
        "review-queue       5 image rows in = 5 out + 0 rejected   2 s"
    )


def test_folds_are_told_in_their_order(job: Job) -> None:
    write_runs(job)
    rows = [
        (job.run_id, "v1", "fold", str(number), "roc_auc", 0.9, None, None, 9, NOW)
        for number in (10, 2, 1)
    ]
    tables.append_rows(job.spark, rows, job.table("metrics"), schemas.METRICS)
    told = [line.split(":")[0] for line in summary.of_run(job).splitlines() if "fold=" in line]
    assert told == ["AUC fold=1", "AUC fold=2", "AUC fold=10"]


def test_summary_of_an_older_runs_tables_tells_none_of_its_figures(job: Job) -> None:
    write_runs(job)
    row = (OTHER, "v0", "overall", None, "roc_auc", 0.1, None, None, 9, NOW)
    tables.append_rows(job.spark, [row], job.table("metrics"), schemas.METRICS)
    assert "AUC" not in summary.of_run(job)


def forward(job: Job, fold: str | None, *, slipped: float, of: int, following: int) -> None:
    rates = {"slip_rate": slipped, "false_call_reduction": 0.875, "review_reduction": 0.5}
    rows = [("forward", fold, name, value, None, None, of) for name, value in rates.items()]
    if fold is not None:
        rows += [("fold", fold, "roc_auc", 0.9, None, None, of)]
        rows += [("forward", fold, "next_slips", float(following), None, None, min(of, 200))]
    full = [(job.run_id, "v1", *row, NOW) for row in rows]
    tables.append_rows(job.spark, full, job.table("metrics"), schemas.METRICS)


def test_what_the_rule_did_forward_leads_the_figures(job: Job) -> None:
    write_runs(job)
    job.promises.append("promise: Of the next 200 defects at most 4 slip.")
    forward(job, "2", slipped=0.0125, of=80, following=1)
    forward(job, None, slipped=0.0125, of=80, following=1)
    nothing = [
        (job.run_id, "v1", "fold", "3", "roc_auc", 0.9, None, None, 10, NOW),
        (job.run_id, "v1", "forward", "3", "slip_rate", None, None, None, 0, NOW),
        (job.run_id, "v1", "forward", "3", "next_slips", 0.0, None, None, 0, NOW),
    ]
    tables.append_rows(job.spark, nothing, job.table("metrics"), schemas.METRICS)
    told = "1.2% of defects slipped, 87.5% of false calls cleared, 50.0% fewer reviews"
    lines = summary.of_run(job).splitlines()
    assert lines[3:] == [
        "promise: Of the next 200 defects at most 4 slip.",
        f"forward: {told}",
        f"forward=2: {told}",
        "AUC fold=2: 0.9000, n = 80",
        "AUC fold=3: 0.9000, n = 10",
        f"tables  {job.config.paths.out}",
    ]


def test_a_promise_that_was_broken_forward_goes_first(job: Job) -> None:
    write_runs(job)
    job.promises.append("promise: Of the next 200 defects at most 4 slip.")
    forward(job, "2", slipped=0.01, of=500, following=5)
    forward(job, "3", slipped=0.03, of=100, following=3)
    forward(job, "4", slipped=0.02, of=400, following=4)
    lines = summary.of_run(job).splitlines()
    assert lines[3:6] == [
        "promise broken forward=2: 5 of the next 200 defects slipped, 1.0% of all 500",
        "promise broken forward=3: 3 of the next 100 defects slipped, 3.0% of all 100",
        "promise: Of the next 200 defects at most 4 slip.",
    ]
