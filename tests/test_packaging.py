"""The files that install, configure and start the project say what they should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SPARK = PROJECT["optional-dependencies"]["spark"]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines)
    return {canonicalize_name(name): version for name, version in pins}


def applying(requirements: Iterable[str], python: str) -> list[str]:
    """Those of ``requirements`` that pip heeds on this version of Python."""
    parsed = [(text, Requirement(text).marker) for text in requirements]
    return [text for text, if_ in parsed if not if_ or if_.evaluate({"python_version": python})]


def spark_settings() -> dict[str, str]:
    lines = (ROOT / "pcb_spark" / "conf" / "spark-defaults.conf").read_text().splitlines()
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


def test_constraints_are_nothing_but_names_and_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["dependencies"],
        *applying(SPARK, "3.11"),
        *PROJECT["optional-dependencies"]["service"],
        *PROJECT["optional-dependencies"]["dev"],
    ],
)
def test_each_direct_dependency_is_pinned_within_its_range(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert constraints()[canonicalize_name(wanted.name)] in wanted.specifier


def test_an_edge_machine_installs_three_packages() -> None:
    names = {Requirement(requirement).name for requirement in PROJECT["dependencies"]}
    assert names == {"numpy", "onnxruntime", "pillow"}


@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
def test_on_a_newer_python_the_base_installs_and_spark_is_refused_with_the_reason(
    python: str,
) -> None:
    assert python in SpecifierSet(PROJECT["requires-python"])
    assert applying(PROJECT["dependencies"], python) == PROJECT["dependencies"]
    (refused,) = set(applying(SPARK, python)) - set(applying(SPARK, "3.11"))
    assert refused.startswith("pyspark==3.5.9+needs.python.3.11;")
    # pip finds the release that it names, and yet nothing that fits.
    assert constraints()["pyspark"] == "3.5.9"
    assert "3.5.9" not in Requirement(refused).specifier


def test_jars_replace_the_onnx_runtime_that_synapseml_brings() -> None:
    settings = spark_settings()
    assert "com.microsoft.onnxruntime:onnxruntime:" in settings["spark.jars.packages"]
    assert "com.microsoft.onnxruntime:onnxruntime_gpu" in settings["spark.jars.excludes"]


def test_onnx_runtime_is_one_version_in_python_and_on_the_jvm() -> None:
    packages = spark_settings()["spark.jars.packages"].split(",")
    (version,) = (p.rsplit(":", 1)[1] for p in packages if ":onnxruntime:" in p)
    assert version == constraints()["onnxruntime"]


def test_synapseml_is_one_version_in_python_and_on_the_jvm() -> None:
    packages = spark_settings()["spark.jars.packages"].split(",")
    versions = {p.rsplit(":", 1)[1] for p in packages if ":synapseml-" in p}
    assert versions == {constraints()["synapseml"]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.executorEnv.ORT_LOAD_CONFIG_FROM_MODEL", "1"),
        ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"),
        ("spark.dynamicAllocation.enabled", "false"),
    ],
)
def test_spark_settings_that_results_rest_on(key: str, value: str) -> None:
    assert spark_settings()[key] == value


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("make")
    assert program is not None
    return subprocess.run(
        [program, "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )


def test_bare_make_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  make (\S+)", make().stdout, re.MULTILINE) == targets


def test_run_local_passes_folders_and_overrides_on() -> None:
    dry = make("-n", "run-local", "DATA=drop", "OUT=out/x", "BACKBONE=", "SET=a.b=1 c.d=[2]")
    assert "--set 'paths.drop=\"drop\"' --set 'paths.out=\"out/x\"'" in dry.stdout
    assert "--set 'a.b=1 c.d=[2]'" in dry.stdout
    assert "backbone.weights" not in dry.stdout


def test_run_local_without_a_drop_says_what_to_add() -> None:
    failed = make("run-local", "DATA=", "OUT=out/x")
    assert failed.returncode == 2
    assert "say DATA=<camera drop> and OUT=<folder>" in failed.stderr


def test_set_up_of_the_tests_fetches_jars_and_connectors_before_they_run() -> None:
    words = ("pcb-spark jars", "faults.servers", "pytest --numprocesses")
    lines = make("-n", "test").stdout.splitlines()
    said = [word for line in lines for word in words if word in line]
    assert said == list(words)


def test_schemes_of_connectors_are_passed_on() -> None:
    assert "pcb-spark jars abfss s3a\n" in make("-n", "jars", "SCHEMES=abfss s3a").stdout


#: Says what it finds around it, leaves something in HOME, and fails as a test would.
FAKE_MAKE = """#!/bin/sh
echo "$@"
cat
env
for folder in "$HOME" "$XDG_CACHE_HOME" "$XDG_CONFIG_HOME" "$XDG_DATA_HOME" "$XDG_STATE_HOME"; do
  mkdir -p "$folder" && ls -A "$folder" && echo left > "$folder/file" || exit 99
done
exit 7
"""


@pytest.fixture
def ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with settings and a cache, and a make that only looks around."""
    program = tmp_path / "bin" / "make"
    for path in ("bin/make", "home/.npmrc", "home/.config/pip/pip.conf", "home/.cache/old"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "home" / ".pyenv").mkdir()
    program.write_text(FAKE_MAKE)
    program.chmod(0o755)
    for name in ("PYENV_ROOT", "PIP_CONFIG_FILE", "NPM_CONFIG_USERCONFIG", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "home" / ".cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_ci_runs_the_tests_from_an_empty_home_and_removes_it(ci: Path) -> None:
    done = subprocess.run(
        [ROOT / ".ci" / "run"], input="typed\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "test"
    assert "typed" not in said
    found = dict(line.split("=", 1) for line in said[1:] if "=" in line)
    home = Path(found["HOME"])
    assert home.parent == ci / "temporary"
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        assert Path(found[name]).is_relative_to(home)
    assert "old" not in said
    assert list((ci / "temporary").iterdir()) == []


def test_ci_reaches_registries_as_this_machine_does(ci: Path) -> None:
    done = subprocess.run([ROOT / ".ci" / "run"], capture_output=True, text=True, check=False)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["NPM_CONFIG_USERCONFIG"] == f"{ci}/home/.npmrc"
    assert found["PIP_CONFIG_FILE"] == f"{ci}/home/.config/pip/pip.conf"
    assert found["PYENV_ROOT"] == f"{ci}/home/.pyenv"
    assert "PIP_CACHE_DIR" not in found
    assert "GIT_CONFIG_GLOBAL" not in found
