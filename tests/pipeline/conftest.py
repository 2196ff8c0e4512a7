"""The whole job, run twice, for every file of tests that looks at what came of it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pcb_spark.pipeline import run_featurize, run_ingest, run_score, run_train
from tests import drops
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop, spoiled_drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job


#: What each job does first; a report and a registry come of other tests.
_STEPS: Final = (
    ("ingest", run_ingest), ("featurize", run_featurize), ("train", run_train),
    ("score", run_score),
)  # fmt: skip


@pytest.fixture(scope="session")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Drop:
    return spoiled_drop(tmp_path_factory.mktemp("drop"))


@pytest.fixture(scope="session")
def out(spark: SparkSession, drop: Drop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, which scores from its features."""
    return _run(spark, drop, tmp_path_factory.mktemp("run0"), "scoring.reuse_features=true")


@pytest.fixture(scope="session")
def outputs(
    spark: SparkSession, drop: Drop, out: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Two runs; the second one scores from pixels, the first one from its features."""
    second = tmp_path_factory.mktemp("run1")
    return out, _run(spark, drop, second, "scoring.reuse_features=false")


def _run(spark: SparkSession, drop: Drop, out: Path, *overrides: str) -> Path:
    job = drops.job(spark, drop.root, out, *SETTINGS, *overrides)
    for name, step in _STEPS:
        with claimed(job, name) as own:
            step(own)
    return out


@pytest.fixture
def copy(spark: SparkSession, drop: Drop, out: Path, tmp_path: Path) -> Job:
    """A job on a copy of the first run's tables, under another run's id."""
    shutil.copytree(out, tmp_path / "out")
    job = drops.job(spark, drop.root, tmp_path / "out", *SETTINGS)
    return dataclasses.replace(job, run_id="20260301T000000Z-copied")
