"""The whole job, run twice, for every file of tests that looks at what came of it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.pipeline.jobs import JOBS
from tests import drops
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop, spoiled_drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job


@pytest.fixture(scope="session")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Drop:
    return spoiled_drop(tmp_path_factory.mktemp("drop"))


@pytest.fixture(scope="session")
def outputs(
    spark: SparkSession, drop: Drop, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Two runs; the second one scores from pixels, the first one from its features."""
    outs = []
    for number, reuse in enumerate(("true", "false")):
        out = tmp_path_factory.mktemp(f"run{number}")
        job = drops.job(spark, drop.root, out, *SETTINGS, f"scoring.reuse_features={reuse}")
        for name in ("ingest", "featurize", "train", "score"):
            with claimed(job, name) as own:
                JOBS[name].steps[0](own)
        outs.append(out)
    return outs[0], outs[1]


@pytest.fixture(scope="session")
def out(outputs: tuple[Path, Path]) -> Path:
    return outputs[0]


@pytest.fixture
def copy(spark: SparkSession, drop: Drop, out: Path, tmp_path: Path) -> Job:
    """A job on a copy of the first run's tables, under another run's id."""
    shutil.copytree(out, tmp_path / "out")
    job = drops.job(spark, drop.root, tmp_path / "out", *SETTINGS)
    return dataclasses.replace(job, run_id="20260301T000000Z-copied")
