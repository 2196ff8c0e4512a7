"""Upload, ingest, featurize, train, score and report on real servers, against the same on disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults import prove_stores, servers
from pcb_spark.demo.camera_drop import render_drop

pytestmark = [pytest.mark.slow, pytest.mark.store]

SETTINGS = (
    "seed=11", "backbone.weights=untrained",
    "backbone.precision=int8", "features.levels=['layer1']",
    "folds.n=2", "folds.first_fraction=0.4", "folds.learning_curve=0",
    "classifier.num_iterations=20", "classifier.min_data_in_leaf=5",
    "policy.bootstrap_resamples=0", "policy.max_slip_rate=0.2", "scoring.audit_share=0.5",
    'spark.master="local[2]"', "spark.driver_memory=2g",
)  # fmt: skip
IMAGES = 120


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, prove_stores.Outcome]:
    """Run on every store, one after the other in one process: Java is slow when it is new."""
    drop, work = tmp_path_factory.mktemp("drop"), tmp_path_factory.mktemp("stores")
    render_drop(drop, images=IMAGES, weeks=2, seed=5)
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(start(work / name)) for name, start in servers.SERVERS.items()
        ]
        found = prove_stores.run(running, drop, work, SETTINGS)
    return dict(zip(servers.SERVERS, found, strict=True))


@pytest.mark.parametrize("store", ["wasb", "s3a", "hdfs"])
def test_scores_are_those_of_local_files_and_no_secret_shows(
    outcomes: dict[str, prove_stores.Outcome], store: str
) -> None:
    outcome = outcomes[store]
    assert len(outcome.scores) == IMAGES
    assert {row[2] for row in outcome.scores.values()} == {"pass", "fail"}
    assert prove_stores.differences(outcomes["file"].scores, outcome.scores) == []
    assert outcome.leaks == []


def test_wrong_key_is_one_error_that_does_not_show_it(tmp_path: Path) -> None:
    wrong = "d3Jvbmcta2V5LXdyb25nLWtleQ=="
    with servers.azurite(tmp_path) as server:
        (setting,) = server.settings.items()
        conf = 'spark.conf={{"{}" = "{}"}}'.format(*setting)
        command = [
            sys.executable, "-c", "from pcb_spark.cli import main; raise SystemExit(main())",
            "report", "--set", f"paths.out='{server.root}'", "--set", conf,
            *(word for each in (*SETTINGS, "spark.driver_memory=1g") for word in ("--set", each)),
        ]  # fmt: skip
        environment = {**os.environ, **server.environment, "PCB_STORAGE_ACCOUNT": wrong}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "output: " in done.stderr
    assert wrong not in done.stdout + done.stderr
