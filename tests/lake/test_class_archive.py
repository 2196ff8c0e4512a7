from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import class_archive, session
from pcb_spark.pipeline import config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Rehearsal:
    """Stands for the process whose JVM leaves the archive that its options name."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.options: list[str] = []

    def run(self, command: list[str], *, env: dict[str, str], **_options: object) -> None:
        self.options = env["SPARK_SUBMIT_OPTS"].split()
        if self.fails:
            raise subprocess.CalledProcessError(1, command, stderr="Traceback\nOSError: disk full")
        Path(self.options[0].partition("=")[2]).write_bytes(b"classes")


@pytest.fixture
def class_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An environment and a Java of their own, and one jar."""
    java = tmp_path / "java" / "bin" / "java"
    for path in (java, tmp_path / "java" / "lib" / "modules"):
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return [tmp_path / "jars" / "tool.jar"]


def rehearsal(monkeypatch: pytest.MonkeyPatch, stand_in: Rehearsal) -> Rehearsal:
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    return stand_in


def test_archive_is_made_once_and_then_used(
    class_path: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert class_archive.options(class_path) == ()
    made = rehearsal(monkeypatch, Rehearsal())

    archive = class_archive.ensure(class_path)

    assert archive is not None
    assert archive.parent == tmp_path / "venv" / "share" / "pcb_spark"
    assert made.options[0].startswith("-XX:ArchiveClassesAtExit=")
    assert class_archive.options(class_path)[0] == f"-XX:SharedArchiveFile={archive}"
    rehearsal(monkeypatch, Rehearsal(fails=True))
    assert class_archive.ensure(class_path) == archive


def test_another_java_or_other_jars_want_an_archive_of_their_own(
    class_path: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal(monkeypatch, Rehearsal())
    first = class_archive.ensure(class_path)
    assert class_archive.options([tmp_path / "others" / "tool.jar"]) == ()
    assert class_archive.options([*class_path, tmp_path / "connectors" / "azure.jar"]) != ()

    os.utime(tmp_path / "java" / "lib" / "modules", (1, 1))

    assert class_archive.options(class_path) == ()
    second = class_archive.ensure(class_path)
    assert second is not None
    assert second != first
    assert list(second.parent.iterdir()) == [second]


def test_without_an_archive_jobs_start_all_the_same(
    class_path: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rehearsal(monkeypatch, Rehearsal(fails=True))
    with caplog.at_level(logging.WARNING):
        assert class_archive.ensure(class_path) is None
    assert "each start takes seconds longer" in caplog.text
    assert "OSError: disk full" in caplog.text
    assert list((tmp_path / "venv" / "share" / "pcb_spark").iterdir()) == []
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    assert class_archive.options(class_path) == ()


@pytest.mark.parametrize(
    ("variable", "option"),
    [
        ("JAVA_TOOL_OPTIONS", "-Xmx1g -javaagent:/opt/metrics.jar=9404"),
        ("JDK_JAVA_OPTIONS", "-agentpath:/opt/libprofiler.so"),
        ("_JAVA_OPTIONS", "-agentlib:jdwp=transport=dt_socket"),
        ("SPARK_SUBMIT_OPTS", "-XX:StartFlightRecording=filename=job.jfr"),
    ],
)
def test_an_agent_of_the_environment_does_without_the_archive(
    class_path: list[Path], monkeypatch: pytest.MonkeyPatch, variable: str, option: str
) -> None:
    rehearsal(monkeypatch, Rehearsal())
    class_archive.ensure(class_path)
    monkeypatch.setenv(variable, "-Dagent=none")
    assert class_archive.options(class_path) != ()

    monkeypatch.setenv(variable, option)

    assert class_archive.options(class_path) == ()


def test_an_agent_of_spark_defaults_does_without_the_archive(
    class_path: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal(monkeypatch, Rehearsal())
    class_archive.ensure(class_path)
    assert class_archive.options(class_path, ["-XX:+UseParallelGC"]) != ()
    assert class_archive.options(class_path, ["-javaagent:/opt/metrics.jar"]) == ()


def test_a_session_with_a_profiler_starts(tmp_path: Path) -> None:
    """With the archive this ends in SIGSEGV before Spark has said a word."""
    recording = tmp_path / "job.jfr"
    flight_recorder = f"-XX:StartFlightRecording=filename={recording}"
    count = (
        "from pcb_spark.lake import session; from pcb_spark.pipeline import config;"
        "print(session.get(config.load(None, [])).range(7).count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", count],
        env={**os.environ, "JAVA_TOOL_OPTIONS": flight_recorder},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["7"], done.stderr
    assert recording.stat().st_size > 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has mapped")
def test_local_session_maps_the_archive_and_copies_no_jars(spark: SparkSession) -> None:
    """``make test`` makes the archive before it; a JVM that has no use for it wouldn't map it."""
    assert spark.sparkContext.getConf().get("spark.jars") is None
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()  # type: ignore[union-attr]
    mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    assert "/share/pcb_spark/classes-" in mapped, "no archive of Spark's classes: run `make jars`"
    assert "SPARK_DIST_CLASSPATH" not in os.environ


def test_executors_elsewhere_get_jars_from_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    cluster = config.load(None, ['spark.master="spark://driver:7077"'])
    settings, class_path = session._local_settings(cluster)
    assert "synapseml-core" in settings["spark.jars"]
    assert class_path == ()
    assert "SharedArchiveFile" not in settings["spark.driver.extraJavaOptions"]
