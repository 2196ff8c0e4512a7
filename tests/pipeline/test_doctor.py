from __future__ import annotations

import os
import platform
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import MagicMock

import psutil
import pytest

from pcb_spark.core.errors import EnvironmentFault
from pcb_spark.pipeline import doctor, synapseml_checks
from pcb_spark.pipeline.config import Config, load
from pcb_spark.pipeline.doctor import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

GIB = 1 << 30
PASSED = Check(name="Python", ok=True, found="3.11.7", hint="never shown")
OLD_JAVA = Check(name="Java", ok=False, found="11.0.2", hint="install Java 17")
NO_MEMORY = Check(name="free memory", ok=False, found="1.0 GiB", hint="end programs")


@pytest.fixture(autouse=True)
def fit_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which every check passes, started without spark-submit."""
    fake_java(tmp_path / "jdk", 'openjdk version "17.0.15" 2025-04-15', monkeypatch)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.delenv("PCB_SPARK_OFFLINE", raising=False)
    free_memory(6 * GIB, monkeypatch)


def fake_java(home: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java that prints ``says`` to stderr, as ``java -version`` does."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(f"#!/bin/sh\ntest \"$1\" = -version && echo '{says}' >&2\n")
    java.chmod(stat.S_IRWXU)
    monkeypatch.setenv("JAVA_HOME", str(home))


def free_memory(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=size))


def configured(tmp_path: Path, *overrides: str) -> Config:
    return load(None, [f'backbone.cache="{tmp_path}"', *overrides])


def machine(name: str, config: Config) -> Check:
    return next(check for check in doctor.check_machine(config) if check.name == name)


def test_fit_machine_passes_every_check(tmp_path: Path) -> None:
    checks = doctor.check_machine(configured(tmp_path))
    assert [(check.name, check.ok) for check in checks] == [
        ("Java", True),
        ("Python", True),
        ("numpy", True),
        ("pyarrow", True),
        ("petastorm", True),
        ("memory", True),
        ("weights", True),
    ]


def test_java_of_java_home_is_the_one_that_counts(tmp_path: Path) -> None:
    assert machine("Java", configured(tmp_path)).found == f"17.0.15 ({tmp_path}/jdk/bin/java)"


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "11.0.2"),
        ('java version "1.8.0_392"', "1.8.0_392"),
        ('openjdk version "21" 2023-09-19', "21"),
        ('openjdk version "170.1"', "170.1"),
    ],
)
def test_other_java_fails(
    says: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path / "other", says, monkeypatch)
    check = machine("Java", configured(tmp_path))
    assert not check.ok
    assert check.found == f"{version} ({tmp_path}/other/bin/java)"
    assert "install a Java 17 runtime" in check.hint
    assert "JAVA_HOME" in check.hint


def test_java_17_of_another_notation_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path / "other", 'openjdk version "17-ea" 2021-09-14', monkeypatch)
    assert machine("Java", configured(tmp_path)).ok


def test_java_home_without_a_java_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    check = machine("Java", configured(tmp_path))
    assert not check.ok
    assert check.found == "no java that runs in JAVA_HOME=/nowhere"


def test_no_java_at_all_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    check = machine("Java", configured(tmp_path))
    assert not check.ok
    assert check.found == "no java that runs in PATH"


def test_first_java_on_path_counts_without_java_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", f"{tmp_path}/jdk/bin{os.pathsep}{os.environ['PATH']}")
    assert machine("Java", configured(tmp_path)).found == f"17.0.15 ({tmp_path}/jdk/bin/java)"


@pytest.mark.parametrize("version", ["3.12.1", "3.10.14", "3.1.1"])
def test_other_python_fails(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: version)
    check = machine("Python", configured(tmp_path))
    assert (check.ok, check.found) == (False, version)
    assert "PYTHON=python3.11" in check.hint


def test_pyarrow_with_which_petastorm_reads_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyarrow.__version__", "14.0.2")
    check = machine("pyarrow", configured(tmp_path))
    assert (check.ok, check.found) == (False, "14.0.2")
    assert "13.x is needed" in check.hint


def test_library_that_is_not_installed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "petastorm", None)
    check = machine("petastorm", configured(tmp_path))
    assert not check.ok
    assert check.found.startswith("ModuleNotFoundError: ")
    assert "constraints.txt" in check.hint


@pytest.mark.parametrize(
    ("driver_memory", "free", "ok", "found"),
    [
        ("4g", 6 * GIB, True, "6.0 GiB free, 6.0 GiB needed"),
        ("4g", 6 * GIB - 1, False, "6.0 GiB free, 6.0 GiB needed"),
        ("3072m", 5 * GIB, True, "5.0 GiB free, 5.0 GiB needed"),
        ("512", GIB, False, "1.0 GiB free, 2.5 GiB needed"),
        ("1 GB", 8 * GIB, False, "driver memory 1 GB"),
        ("2Gb", 4 * GIB, True, "4.0 GiB free, 4.0 GiB needed"),
    ],
)
def test_memory_holds_the_heap_and_two_more_gib(
    driver_memory: str,
    free: int,
    ok: bool,
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free_memory(free, monkeypatch)
    check = machine("memory", configured(tmp_path, f'spark.driver_memory="{driver_memory}"'))
    assert (check.ok, check.found) == (ok, found)


def test_under_spark_submit_the_heap_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    free_memory(2 * GIB, monkeypatch)
    check = machine("memory", configured(tmp_path, 'spark.driver_memory="64g"'))
    assert (check.ok, check.found) == (True, "2.0 GiB free, 2.0 GiB needed")


def test_weights_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"\x08" * 1234)
    check = machine("weights", configured(tmp_path, f'backbone.weights="{tmp_path}/w.onnx"'))
    assert (check.ok, check.found) == (True, f"{tmp_path}/w.onnx, 1,234 bytes")


@pytest.mark.parametrize("name", ["none.onnx", "empty.onnx", ""])
def test_weights_that_are_no_file_fail(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    check = machine("weights", configured(tmp_path, f'backbone.weights="{tmp_path / name}"'))
    assert not check.ok
    assert check.found == f"{tmp_path / name} isn't a readable file with content"
    assert "set backbone.weights to a ResNet-50 ONNX file" in check.hint


def test_pinned_weights_that_are_not_there_yet_pass_where_they_may_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(None, [f'backbone.cache="{tmp_path}/not/yet"'])
    check = machine("weights", config)
    assert check.ok
    assert check.found == (f"resnet50-v1-12, 102,576,593 bytes to download into {tmp_path}/not/yet")
    monkeypatch.setenv("PCB_SPARK_OFFLINE", "1")
    check = machine("weights", config)
    assert not check.ok
    assert "PCB_SPARK_OFFLINE" in check.hint


def test_pinned_weights_in_the_cache_pass(tmp_path: Path) -> None:
    with (tmp_path / "resnet50-v1-12.onnx").open("wb") as file:
        file.truncate(102_576_593)
    check = machine("weights", configured(tmp_path))
    assert (check.ok, check.found) == (True, f"resnet50-v1-12, cached in {tmp_path}")


def test_download_that_broke_off_is_not_taken_for_the_weights(tmp_path: Path) -> None:
    (tmp_path / "resnet50-v1-12.onnx").write_bytes(b"half")
    assert "to download into" in machine("weights", configured(tmp_path)).found


def test_cache_that_is_no_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = machine("weights", load(None, [f'backbone.cache="{tmp_path}/file"']))
    assert not check.ok
    assert "backbone.cache" in check.hint


def test_untrained_network_passes_where_it_is_asked_for_and_is_named(tmp_path: Path) -> None:
    check = machine("weights", configured(tmp_path, 'backbone.weights="untrained"'))
    assert check.ok
    assert check.found.startswith("untrained network")


def test_require_passes_a_fit_machine() -> None:
    doctor.require([PASSED])


def test_require_names_every_failed_check() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        doctor.require([OLD_JAVA, PASSED, NO_MEMORY])
    assert str(caught.value) == (
        "2 of 3 checks of this machine failed\n"
        "  Java: 11.0.2\n"
        "    next: install Java 17\n"
        "  free memory: 1.0 GiB\n"
        "    next: end programs"
    )
    assert caught.value.exit_code == 3


def test_report_is_aligned_and_hints_at_failures_only() -> None:
    assert doctor.report([OLD_JAVA, PASSED, NO_MEMORY]).splitlines() == [
        "FAIL  Java         11.0.2",
        "                   next: install Java 17",
        "ok    Python       3.11.7",
        "FAIL  free memory  1.0 GiB",
        "                   next: end programs",
    ]


def session_check(name: str, spark: SparkSession, out: str) -> Check:
    return next(check for check in doctor.check_session(spark, out) if check.name == name)


def test_session_of_the_project_passes_every_check(spark: SparkSession, tmp_path: Path) -> None:
    out = tmp_path / "out"
    checks = {check.name: check for check in doctor.check_session(spark, str(out))}
    assert [name for name, check in checks.items() if not check.ok] == []
    assert "synapseml-deep-learning_2.12-1.1.0.jar" in checks["ONNX jar"].found
    assert "synapseml-lightgbm_2.12-1.1.0.jar" in checks["LightGBM jar"].found
    assert checks["thread switch"].found == "ORT_LOAD_CONFIG_FROM_MODEL=1 on the driver"
    assert checks["ONNX Runtime"].found == "1.28.0"
    assert checks["LightGBM"].found == "native library loaded"
    assert checks["output"].found == f"{out} is writable"
    assert list(out.iterdir()) == []


def test_session_that_only_scores_in_python_needs_no_jar(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in synapseml_checks.CLASSES:
        monkeypatch.setitem(synapseml_checks.CLASSES, name, "com.example.Missing")
    checks = doctor.check_session(spark, str(tmp_path), synapseml=False)
    assert [(check.name, check.ok, check.found) for check in checks] == [
        ("ONNX Runtime", True, "1.28.0, of Python"),
        ("output", True, f"{tmp_path} is writable"),
    ]


def test_output_below_a_file_fails(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = session_check("output", spark, f"{tmp_path}/file/out")
    assert not check.ok
    assert "Exception" in check.found
    assert "set paths.out to a folder that you may write to" in check.hint


def test_output_in_a_store_without_connector_fails(spark: SparkSession) -> None:
    check = session_check("output", spark, "s3a://bucket/out")
    assert not check.ok
    assert "S3AFileSystem not found" in check.found
    assert "spark.jars.packages" in check.hint


def test_no_output_fails(spark: SparkSession) -> None:
    check = session_check("output", spark, "")
    assert (check.ok, check.found) == (False, "paths.out is empty")


def test_missing_jar_fails(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(synapseml_checks.CLASSES, "LightGBM", "com.example.Missing")
    checks = {check.name: check for check in doctor.check_session(spark, str(tmp_path))}
    assert [name for name, check in checks.items() if not check.ok] == ["LightGBM jar", "LightGBM"]
    assert checks["LightGBM jar"].found == "java.lang.ClassNotFoundException: com.example.Missing"
    assert "pcb-spark jars" in checks["LightGBM jar"].hint


def fake_session(environment: Mapping[str, str | None], **executors: str) -> MagicMock:
    """A session whose driver has ``environment``; with ``executors``, on a cluster."""
    conf = {f"spark.executorEnv.{name}": value for name, value in executors.items()}
    spark = MagicMock()
    spark._jvm.java.lang.System.getenv = environment.get
    spark.sparkContext.master = "spark://host:7077" if executors else "local[2]"
    spark.conf.get = conf.get
    return spark


def thread_switch(spark: SparkSession | MagicMock) -> tuple[bool, str]:
    check = session_check("thread switch", spark, "")
    return check.ok, check.found


def test_switch_that_the_driver_lacks_fails() -> None:
    found = thread_switch(fake_session({}))
    assert found == (False, "ORT_LOAD_CONFIG_FROM_MODEL=None on the driver")


@pytest.mark.parametrize("driver", ["1", None])
def test_the_switch_counts_on_both_sides_of_a_cluster(driver: str | None) -> None:
    environment = {"ORT_LOAD_CONFIG_FROM_MODEL": driver}
    assert thread_switch(fake_session(environment, ORT_LOAD_CONFIG_FROM_MODEL="1")) == (
        driver == "1",
        f"ORT_LOAD_CONFIG_FROM_MODEL={driver} on the driver, "
        "ORT_LOAD_CONFIG_FROM_MODEL=1 on the executors",
    )


def test_switch_that_executors_lack_fails() -> None:
    spark = fake_session({"ORT_LOAD_CONFIG_FROM_MODEL": "1"}, OTHER="1")
    assert thread_switch(spark) == (
        False,
        "ORT_LOAD_CONFIG_FROM_MODEL=1 on the driver, "
        "ORT_LOAD_CONFIG_FROM_MODEL=None on the executors",
    )
    check = session_check("thread switch", spark, "")
    assert '--properties-file "$(pcb-spark conf)/spark-defaults.conf"' in check.hint


def test_jvm_that_is_gone_fails_every_check() -> None:
    class Gone:
        @property
        def java(self) -> Any:
            raise ConnectionRefusedError(111, "Connection refused")

        org = java

    spark = cast("SparkSession", SimpleNamespace(_jvm=Gone()))
    checks = doctor.check_session(spark, "/tmp/out")
    assert [check.ok for check in checks] == [False] * 6
    assert {check.found for check in checks} == {
        "ConnectionRefusedError: [Errno 111] Connection refused"
    }
