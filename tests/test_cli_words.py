from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import pcb_spark
from pcb_spark import cli
from tests.world import IN_OUT, World

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["tarin"], "invalid choice: 'tarin'"),
        (["train", "--configuration", "x"], "unrecognized arguments"),
        (["demo", "--images", "many"], "invalid int value: 'many'"),
        (["prune"], "required: --before"),
        (["prune", "--before", "31.1.2026"], "'31.1.2026' is no day"),
        (["compact", "--before", "2026-01-31"], "unrecognized arguments"),
        (["ingest", "--once", "--continuous", *IN_OUT], "not allowed with argument --once"),
        (["run", "--once", *IN_OUT], "unrecognized arguments: --once"),
        (["model"], "required: ACTION"),
        (["model", "prmote"], "invalid choice: 'prmote'"),
        (["model", "rollback", *IN_OUT], "required: --why"),
        (["nightly", "--date", "yesterday"], "'yesterday' is no day"),
    ],
)
def test_command_line_that_cannot_be_read_ends_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    with pytest.raises(SystemExit) as caught:
        world.call(*arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert world.events == []


def test_version_and_help_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{pcb_spark.__version__}\n"
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    words = capsys.readouterr().out.split()
    assert {"ingest", "featurize", "train", "score", "run", "doctor", "demo"} <= set(words)


@pytest.mark.parametrize(
    "name", ["ingest", "featurize", "train", "score", "nightly", "retrain", "report"]
)
def test_job_file_passes_its_arguments_on_and_ends_with_the_exit_code(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Sequence[str]] = []

    def main(arguments: Sequence[str]) -> int:
        called.append(arguments)
        return 6

    monkeypatch.setattr(cli, "main", main)
    monkeypatch.setattr(sys, "argv", [f"jobs/{name}.py", "--config", "night.toml", "--verbose"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "jobs" / f"{name}.py"), run_name="__main__")
    assert caught.value.code == 6
    assert called == [[name, "--config", "night.toml", "--verbose"]]


def test_every_job_has_a_file_of_its_own() -> None:
    files = {path.stem for path in (ROOT / "jobs").glob("*.py")}
    assert files == {name.replace("-", "_") for name in cli.JOBS}
