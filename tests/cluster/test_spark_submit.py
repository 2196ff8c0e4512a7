"""The jobs on a Spark standalone cluster, submitted as docs/how-to/spark-submit.md says."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from faults.standalone import Cluster, Submission, node_environment, standalone
from pcb_spark.demo.camera_drop import render_drop
from pcb_spark.lake import jars

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PROPERTIES = jars.default_properties_file()
CONFIG = "nightly.toml"  # out of the wheel
IMAGES = 120
BOTH_EXECUTORS = {"0", "1"}
OVERRIDES = (
    'features.levels=["layer1"]',
    'backbone.weights="untrained"',
    "classifier.num_iterations=20",
    "folds.n=2",
    'backbone.precision="int8"',
    "folds.learning_curve=0",
)
#: What the driver's own JVM needs; executors get the same from the properties file.
SWITCH = {"ORT_LOAD_CONFIG_FROM_MODEL": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A cluster, and what the jobs that are submitted to it need."""

    cluster: Cluster
    wheel: Path
    ivy: Path
    drop: Path

    def submit(self, job: str, *overrides: str, out: Path) -> Submission:
        """Submit ``jobs/<job>.py`` by the properties file, with what a small test needs on top."""
        settings = {
            # The coordinates of the properties file are resolved from what `make jars` left here.
            "spark.jars.ivy": self.ivy,
            # No task before both executors are there, or a slow start would leave one idle.
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
            "spark.sql.shuffle.partitions": "4",
            "spark.ui.enabled": "false",
        }
        paths = (f'paths.drop="{self.drop}"', f'paths.out="{out}"')
        arguments = [
            *("--deploy-mode", "client"),
            *("--py-files", str(self.wheel)),
            *("--properties-file", str(PROPERTIES)),
            *("--driver-memory", "1g", "--executor-memory", "1g", "--total-executor-cores", "2"),
            *(word for key, value in settings.items() for word in ("--conf", f"{key}={value}")),
            *(str(ROOT / "jobs" / f"{job}.py"), "--config", CONFIG),
            *(word for pair in (*paths, *OVERRIDES, *overrides) for word in ("--set", pair)),
        ]
        return self.cluster.submit(arguments, environment=SWITCH, seconds=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """How the whole job ended, and the tables below ``out``."""

    out: Path
    submission: Submission


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("cluster")
    found = jars.resolve(jars.read_properties(PROPERTIES))
    render_drop(folder / "drop", images=IMAGES)
    wheel = build_wheel(folder / "wheel")
    with standalone(folder, worker_memory="1280m") as cluster:
        yield Plant(cluster=cluster, wheel=wheel, ivy=found[0].parents[1], drop=folder / "drop")


def build_wheel(folder: Path) -> Path:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("pcb_spark-*.whl")
    return wheel


@pytest.fixture(scope="module")
def whole(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Submit all steps as one job: each submission starts three JVMs, which are slow when new."""
    out = tmp_path_factory.mktemp("tables")
    submission = plant.submit("run", out=out)
    assert submission.code == 0, submission.tail()
    return Whole(out=out, submission=submission)


def test_nodes_have_no_pcb_spark_but_that_of_the_wheel(plant: Plant) -> None:
    python = plant.cluster.python
    asked = subprocess.run(
        [python, "-c", "import numpy, pyspark; import pcb_spark"],
        capture_output=True,
        text=True,
        check=False,
        cwd=plant.cluster.folder,
        env=node_environment(python),
    )
    assert asked.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'pcb_spark'"


def test_a_mistyped_key_ends_with_2_before_spark_starts(plant: Plant, tmp_path: Path) -> None:
    submission = plant.submit("score", "features.levls=[]", out=tmp_path)
    assert submission.code == 2, submission.tail()
    assert "did you mean features.levels?" in submission.output
    assert submission.events == ()


def test_every_image_of_the_drop_has_one_score(plant: Plant, whole: Whole) -> None:
    scores = pd.read_parquet(whole.out / "scores", columns=["source_uri", "status"])
    files = sorted(path.name for path in (plant.drop / "images").rglob("*.jpg"))
    assert sorted(uri.rpartition("/")[2] for uri in scores["source_uri"]) == files
    assert scores["status"].value_counts().to_dict() == {"ok": IMAGES}


def test_the_books_of_every_job_balance(whole: Whole) -> None:
    columns = ["job", "kind", "rows_in", "rows_out", "rows_rejected"]
    runs = pd.read_parquet(whole.out / "runs", columns=columns)
    assert sorted(runs.itertuples(index=False, name=None)) == [
        ("featurize", "image", 120, 120, 0),
        ("ingest", "image", 120, 120, 0),
        ("ingest", "verdict", 120, 120, 0),
        ("score", "image", 120, 120, 0),
        ("train", "image", 120, 120, 0),
    ]


def test_both_executors_worked_for_a_driver_out_of_the_wheel(plant: Plant, whole: Whole) -> None:
    tasks = whole.submission.tasks()
    assert {executor for _, executor in tasks} == BOTH_EXECUTORS
    for room in ("ingest", "network", "learning"):
        module = f"{plant.wheel}/pcb_spark/{room}/"
        assert {executor for stage, executor in tasks if module in stage} == BOTH_EXECUTORS, room


def test_lightgbm_fits_across_both_executors(whole: Whole) -> None:
    tasks = whole.submission.tasks()
    classifier = (whole.out / "bundle" / "classifier.txt").read_text(encoding="utf-8")
    assert {executor for stage, executor in tasks if "LightGBMBase" in stage} == BOTH_EXECUTORS
    assert "[tree_learner: data]" in classifier
    assert "[num_machines: 2]" in classifier


def test_a_damaged_bundle_ends_with_7_and_no_scores(
    plant: Plant, whole: Whole, tmp_path: Path
) -> None:
    for table in ("images", "bundle"):
        shutil.copytree(whole.out / table, tmp_path / table)
    graph = tmp_path / "bundle" / "graph.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    submission = plant.submit("score", out=tmp_path)
    assert submission.code == 7, submission.tail()
    assert "graph.onnx" in submission.output
    assert not (tmp_path / "scores").exists()


def test_a_worker_that_is_killed_costs_no_image(plant: Plant, tmp_path: Path) -> None:
    """Comes last: the cluster is one worker short afterwards."""
    killed = threading.Event()
    killer = threading.Thread(
        target=kill_worker_once_rows_are_written, args=(plant.cluster, tmp_path, killed)
    )
    killer.start()
    submission = plant.submit("ingest", "ingest.files_per_batch=30", out=tmp_path)
    killer.join()
    assert submission.code == 0, submission.tail()
    assert killed.is_set()
    columns = ["source_uri", "image_id"]
    images = pd.read_parquet(tmp_path / "images", columns=columns)
    assert (len(images), images["image_id"].nunique()) == (IMAGES, IMAGES)
    assert len(pd.read_parquet(tmp_path / "rejects")) == 0


def kill_worker_once_rows_are_written(cluster: Cluster, out: Path, killed: threading.Event) -> None:
    """End one worker as soon as a micro-batch is written."""
    deadline = time.monotonic() + 240
    while not list(out.glob(".ingest-*/rows")):
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)  # between two looks at the folder; nothing tells that it has come
    cluster.kill_worker()
    killed.set()
