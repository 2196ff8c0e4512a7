from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from tenacity import nap

from faults import servers
from pcb_spark import cli
from pcb_spark.core.errors import ConfigError, EnvironmentFault
from pcb_spark.lake import class_archive, folders, jars

PROPERTIES = {jars.PACKAGES: "org.example:tool:1.0", jars.EXCLUDES: "org.example:other"}
UNKNOWN_HOST = "\tHost repo.example not found. url=https://repo.example/maven/tool-1.0.pom\n"


class Ivy:
    """Stands for the process that asks Ivy: puts ``names`` where Spark puts jars.

    The first calls fail, one for each text of ``failures``, which is what they print.
    """

    def __init__(
        self, *names: str, code: int = 0, stderr: str = "", failures: tuple[str, ...] = ()
    ) -> None:
        self.names, self.code, self.stderr = names, code, stderr
        self.failures = list(failures)
        self.calls: list[list[str]] = []
        self.environment: dict[str, str] = {}

    def run(
        self, command: list[str], *, env: dict[str, str], **_options: object
    ) -> SimpleNamespace:
        self.calls.append(command)
        self.environment = env
        if self.failures:
            return SimpleNamespace(returncode=1, stderr=self.failures.pop(0))
        folder = next(Path(part.partition("=")[2]) for part in command if "spark.jars.ivy=" in part)
        (folder / "jars").mkdir()
        for name in self.names:
            (folder / "jars" / name).touch()
        return SimpleNamespace(returncode=self.code, stderr=self.stderr)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and leave to fill it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(folders.OFFLINE, raising=False)
    return tmp_path / "pcb_spark"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited for, and no waiting.

    Only what tenacity takes for the clock: other threads of this process sleep as they did.
    """
    waited: list[float] = []
    monkeypatch.setattr(nap, "time", SimpleNamespace(sleep=waited.append))
    return waited


def ivy(monkeypatch: pytest.MonkeyPatch, stand_in: Ivy) -> Ivy:
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    return stand_in


def test_properties_file_is_read_as_spark_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "spark.conf"
    path.write_text(
        "# a comment\n\n  # an indented one\nspark.a  one two\nspark.b\tx=1\nspark.c\n",
        encoding="utf-8",
    )
    assert jars.read_properties(path) == {"spark.a": "one two", "spark.b": "x=1", "spark.c": ""}


def test_missing_properties_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"no Spark properties file {tmp_path}/none"):
        jars.read_properties(tmp_path / "none")


def test_projects_own_properties_name_synapseml_and_a_newer_onnx_runtime() -> None:
    properties = jars.read_properties(jars.default_properties_file())
    packages = properties[jars.PACKAGES].split(",")
    assert [package.split(":")[1] for package in packages] == [
        "synapseml-core_2.12", "synapseml-lightgbm_2.12", "synapseml-deep-learning_2.12",
        "onnxruntime",
    ]  # fmt: skip
    assert "com.microsoft.onnxruntime:onnxruntime_gpu" in properties[jars.EXCLUDES].split(",")


def test_jars_are_asked_for_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ivy(monkeypatch, Ivy("b.jar", "a.jar"))
    found = jars.resolve(PROPERTIES)
    assert [path.name for path in found] == ["a.jar", "b.jar"]
    assert all(path.is_file() and path.is_relative_to(cache / "jars") for path in found)
    assert jars.resolve(PROPERTIES) == found
    assert len(asked.calls) == 1
    assert "spark.jars.packages=org.example:tool:1.0" in asked.calls[0]
    assert "spark.jars.excludes=org.example:other" in asked.calls[0]


def test_other_coordinates_have_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ivy(monkeypatch, Ivy("a.jar"))
    first = jars.resolve(PROPERTIES)
    second = jars.resolve(PROPERTIES | {jars.EXCLUDES: ""})
    assert first[0].parent != second[0].parent


@pytest.mark.parametrize(
    ("stand_in", "got"),
    [
        (Ivy("a.jar", code=1, stderr="[unresolved dependency: org.example#tool;1.0: not found]\n"),
         "org.example#tool;1.0: not found"),
        (Ivy(), "no jar"),
    ],
)  # fmt: skip
def test_failure_leaves_nothing_and_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Ivy, got: str
) -> None:
    ivy(monkeypatch, stand_in)
    with pytest.raises(EnvironmentFault, match="can't be resolved") as caught:
        jars.resolve(PROPERTIES)
    assert caught.value.got == got
    assert "pcb-spark jars" in str(caught.value)
    assert list((cache / "jars").iterdir()) == []
    assert len(stand_in.calls) == 1


def test_a_server_that_fails_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar", failures=(UNKNOWN_HOST, UNKNOWN_HOST)))
    with caplog.at_level("INFO"):
        assert [path.name for path in jars.resolve(PROPERTIES)] == ["a.jar"]
    assert (len(asked.calls), waits) == (3, [2, 4])
    assert caplog.messages[1:] == [
        "jars, try 1 of 3: Host repo.example not found; again in 2 s",
        "jars, try 2 of 3: Host repo.example not found; again in 4 s",
    ]


def test_a_server_that_fails_three_times_is_the_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar", failures=(UNKNOWN_HOST,) * 4))
    with pytest.raises(EnvironmentFault, match=r"got: Host repo\.example not found\n"):
        jars.resolve(PROPERTIES)
    assert (len(asked.calls), len(waits)) == (3, 2)
    assert list((cache / "jars").iterdir()) == []


@pytest.mark.parametrize(
    "variable", ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS"]
)
def test_of_java_options_only_the_way_to_servers_reaches_what_fetches(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    way = (
        "-Dhttps.proxyHost=proxy -Dhttp.nonProxyHosts='localhost|127.*' "
        '"-Djavax.net.ssl.trustStore=/etc/our own/trust.jks" -Djava.net.useSystemProxies=true'
    )
    harm = "-Djdk.net.hosts.file=/tmp/hosts -javaagent:/opt/a.jar=9404 -Xmx8m -Dname='two words'"
    monkeypatch.setenv(variable, f"{harm} {way} -XX:+UseSerialGC")
    jars.resolve(PROPERTIES)
    assert asked.environment[variable] == way

    monkeypatch.setenv(variable, harm)
    jars.resolve(PROPERTIES | {jars.EXCLUDES: ""})
    assert variable not in asked.environment
    assert os.environ[variable] == harm


def test_offline_nothing_is_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    found = jars.resolve(PROPERTIES)
    monkeypatch.setenv(folders.OFFLINE, "1")
    assert jars.resolve(PROPERTIES) == found
    with pytest.raises(EnvironmentFault, match="can't be resolved") as caught:
        jars.resolve(PROPERTIES | {jars.EXCLUDES: ""})
    assert caught.value.got == f"none in {cache / 'jars'}, and PCB_SPARK_OFFLINE is set"
    assert len(asked.calls) == 1


def test_cache_that_is_no_folder_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        EnvironmentFault, match=r"jars can't be kept in .*/file/pcb_spark/jars"
    ) as it:
        jars.resolve(PROPERTIES)
    assert it.value.got == "Not a directory"
    assert "XDG_CACHE_HOME" in str(it.value)


def test_connectors_come_with_the_stores_that_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    uris = ["abfss://drop@plant.dfs.core.windows.net/x", "wasb://a@b/x", "hdfs://n/x", "/data"]
    found = jars.with_connectors(PROPERTIES, uris)
    assert [path.name for path in found] == ["a.jar"]  # no jar twice, though both brought it
    assert len(asked.calls) == 2
    assert "spark.jars.packages=org.apache.hadoop:hadoop-azure:3.3.4" in asked.calls[1]


def test_connectors_come_from_the_same_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    mirror = {"spark.jars.ivySettings": "/etc/ivy.xml", "spark.jars.repositories": "https://m"}
    jars.with_connectors(PROPERTIES | mirror, ["s3a:"])
    for call in asked.calls:
        assert {"spark.jars.ivySettings=/etc/ivy.xml", "spark.jars.repositories=https://m"} <= set(
            call
        )


def packages(asked: Ivy) -> list[str]:
    """What was asked for, by the name of the first artifact."""
    words = [word for call in asked.calls for word in call if word.startswith(jars.PACKAGES)]
    return [word.split(":")[1] for word in words]


@pytest.fixture
def without_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_archive, "ensure", lambda _: None)


@pytest.mark.usefixtures("without_archive")
def test_command_fetches_connectors_by_their_schemes(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar", "b.jar"))
    settings = ["--set", "paths.out=abfss://a@b/c", "--set", f"backbone.cache={cache}/weights"]
    assert cli.main(["jars", "s3a", *settings]) == 0
    assert packages(asked) == ["synapseml-core_2.12", "hadoop-azure", "hadoop-aws"]
    assert capsys.readouterr().out.startswith(f"2 jars ready in {cache}/jars/")


@pytest.mark.usefixtures("without_archive")
def test_command_says_in_one_error_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ivy(monkeypatch, Ivy(failures=('Exception in thread "main" java.io.IOException: No space\n',)))
    assert cli.main(["jars"]) == 3
    assert "got: java.io.IOException: No space\n" in capsys.readouterr().err
    assert cli.main(["jars", "s3"]) == 2
    assert "s3a://" in capsys.readouterr().err


@pytest.mark.usefixtures("without_archive")
def test_set_up_of_the_store_tests_fetches_all_that_they_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    servers.prepare()
    assert packages(asked) == [
        "synapseml-core_2.12", "hadoop-azure", "hadoop-aws", "hadoop-client-minicluster",
        "spark-connect_2.12",
    ]  # fmt: skip
    monkeypatch.setenv(folders.OFFLINE, "1")
    for scheme in servers.SERVERS:
        assert jars.with_connectors(
            jars.read_properties(jars.default_properties_file()), [f"{scheme}:"]
        )
