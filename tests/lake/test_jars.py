from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pcb_spark.core.errors import ConfigError, EnvironmentFault
from pcb_spark.lake import jars

PROPERTIES = {jars.PACKAGES: "org.example:tool:1.0", jars.EXCLUDES: "org.example:other"}


class Ivy:
    """Stands for the process that asks Ivy: puts ``names`` where Spark puts jars."""

    def __init__(self, *names: str, code: int = 0, stderr: str = "") -> None:
        self.names, self.code, self.stderr = names, code, stderr
        self.calls: list[list[str]] = []

    def run(self, command: list[str], **_options: object) -> SimpleNamespace:
        self.calls.append(command)
        folder = next(Path(part.partition("=")[2]) for part in command if "spark.jars.ivy=" in part)
        (folder / "jars").mkdir()
        for name in self.names:
            (folder / "jars" / name).touch()
        return SimpleNamespace(returncode=self.code, stderr=self.stderr)


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


def test_jars_are_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ivy(monkeypatch, Ivy("b.jar", "a.jar"))
    found = jars.resolve(PROPERTIES, cache=tmp_path)
    assert [path.name for path in found] == ["a.jar", "b.jar"]
    assert all(path.is_file() for path in found)
    assert jars.resolve(PROPERTIES, cache=tmp_path) == found
    assert len(asked.calls) == 1
    assert "spark.jars.packages=org.example:tool:1.0" in asked.calls[0]
    assert "spark.jars.excludes=org.example:other" in asked.calls[0]


def test_other_coordinates_have_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ivy(monkeypatch, Ivy("a.jar"))
    first = jars.resolve(PROPERTIES, cache=tmp_path)
    second = jars.resolve(PROPERTIES | {jars.EXCLUDES: ""}, cache=tmp_path)
    assert first[0].parent != second[0].parent


@pytest.mark.parametrize(
    ("stand_in", "got"),
    [
        (Ivy("a.jar", code=1, stderr="many lines\nunresolved dependency: tool\n"),
         "unresolved dependency: tool"),
        (Ivy(), "no jar"),
    ],
)  # fmt: skip
def test_failure_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Ivy, got: str
) -> None:
    ivy(monkeypatch, stand_in)
    with pytest.raises(EnvironmentFault, match="can't be resolved") as caught:
        jars.resolve(PROPERTIES, cache=tmp_path)
    assert got in str(caught.value)
    assert "make jars" in str(caught.value)
    assert list((tmp_path / "jars").iterdir()) == []


def test_connectors_come_with_the_stores_that_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ivy(monkeypatch, Ivy("a.jar"))
    uris = ["abfss://drop@plant.dfs.core.windows.net/x", "wasb://a@b/x", "hdfs://n/x", "/data"]
    found = jars.with_connectors(PROPERTIES, uris, cache=tmp_path)
    assert [path.name for path in found] == ["a.jar"]  # no jar twice, though both brought it
    assert len(asked.calls) == 2
    assert "spark.jars.packages=org.apache.hadoop:hadoop-azure:3.3.4" in asked.calls[1]


def test_main_fetches_connectors_by_their_schemes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = ivy(monkeypatch, Ivy("a.jar"))
    jars.main(["s3a"])
    assert "spark.jars.packages=org.apache.hadoop:hadoop-aws:3.3.4" in asked.calls[1]
    with pytest.raises(ConfigError, match="s3a://"):
        jars.main(["s3"])


def test_main_says_how_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ivy(monkeypatch, Ivy("a.jar", "b.jar"))
    jars.main()
    assert capsys.readouterr().out.startswith(f"2 jars ready in {tmp_path}/.cache/pcb_spark/jars/")
