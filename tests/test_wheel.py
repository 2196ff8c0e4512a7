"""The wheel, installed where there is no checkout, and started in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
COMMIT = "from pcb_spark.lake import run; print(run.git_sha())"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.glob("pcb_spark-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package alone; its libraries are this environment's."""
    folder = tmp_path_factory.mktemp("installed") / "site-packages"
    options = ("--no-deps", "--no-index", "--target", str(folder))
    subprocess.run([*PIP, "install", *options, str(wheel)], check=True)
    return folder


def run(installed: Path, folder: Path, *command: str) -> str:
    """Run in ``folder``, where the installed package comes before the checkout."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def pcb_spark(installed: Path, folder: Path, *arguments: str) -> str:
    return run(installed, folder, sys.executable, str(installed / "bin" / "pcb-spark"), *arguments)


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@plant.example")
    command = ["git", "-C", str(folder), *who, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_file_of_conf_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name for name in names if name.startswith("pcb_spark/conf/")) == [
        "pcb_spark/conf/demo.toml",
        "pcb_spark/conf/local.toml",
        "pcb_spark/conf/log4j2.properties",
        "pcb_spark/conf/nightly.toml",
        "pcb_spark/conf/service.toml",
        "pcb_spark/conf/spark-defaults.conf",
    ]


def test_command_line_says_where_its_files_are(installed: Path, tmp_path: Path) -> None:
    assert pcb_spark(installed, tmp_path, "--help").startswith("usage: pcb-spark")
    folder = Path(pcb_spark(installed, tmp_path, "conf").rstrip("\n"))
    assert folder == installed / "pcb_spark" / "conf"
    assert (folder / "spark-defaults.conf").is_file()


def test_session_starts_with_the_shipped_settings(installed: Path, tmp_path: Path) -> None:
    settings = ("paths.out=out", "backbone.weights=untrained")
    words = [word for each in settings for word in ("--set", each)]
    said = pcb_spark(installed, tmp_path, "doctor", "--config", "demo.toml", *words)
    assert "FAIL" not in said
    assert "ok    LightGBM" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_profiles_are_read_out_of_the_wheel_itself(wheel: Path, tmp_path: Path) -> None:
    """As a driver reads them that was submitted with ``--py-files``."""
    audit = (
        "import pathlib, pcb_spark.pipeline.config as c;print(c.load(pathlib.Path('nightly.toml')))"
    )
    said = run(wheel, tmp_path, sys.executable, "-c", audit)
    assert "drop='/data/pcb/drop'" in said


def test_commit_is_that_of_a_repository_that_has_the_package_not_one_around_it(
    installed: Path, tmp_path: Path
) -> None:
    project = installed.parent
    git(project, "init", "--quiet")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "somebody's project")
    assert run(installed, tmp_path, sys.executable, "-c", COMMIT) == "None\n"

    git(project, "add", "site-packages/pcb_spark")
    git(project, "commit", "--quiet", "--message", "with pcb_spark in it")
    commit = git(project, "rev-parse", "HEAD")
    assert run(installed, tmp_path, sys.executable, "-c", COMMIT) == f"{commit}\n"
