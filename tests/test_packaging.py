"""The files that install, configure and start the project say what they should."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines)
    return {canonicalize_name(name): version for name, version in pins}


def spark_settings() -> dict[str, str]:
    lines = (ROOT / "conf" / "spark-defaults.conf").read_text().splitlines()
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


def test_constraints_are_nothing_but_names_and_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["spark"],
        *PROJECT["optional-dependencies"]["dev"],
    ],
)
def test_each_direct_dependency_is_pinned_within_its_range(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert constraints()[canonicalize_name(wanted.name)] in wanted.specifier


def test_an_edge_machine_installs_three_packages() -> None:
    names = {Requirement(requirement).name for requirement in PROJECT["dependencies"]}
    assert names == {"numpy", "onnxruntime", "pillow"}


def test_jars_replace_the_onnx_runtime_that_synapseml_brings() -> None:
    settings = spark_settings()
    assert "com.microsoft.onnxruntime:onnxruntime:1.29.0" in settings["spark.jars.packages"]
    assert "com.microsoft.onnxruntime:onnxruntime_gpu" in settings["spark.jars.excludes"]


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
    assert "--set 'a.b=1' --set 'c.d=[2]'" in dry.stdout
    assert "backbone.weights" not in dry.stdout


def test_run_local_without_a_drop_says_what_to_add() -> None:
    failed = make("run-local", "DATA=", "OUT=out/x")
    assert failed.returncode == 2
    assert "say DATA=<camera drop> and OUT=<folder>" in failed.stderr
