from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

import pcb_spark
from pcb_spark import cli
from pcb_spark.core.errors import (
    AccountingError,
    BackboneError,
    BundleError,
    ConfigError,
    EnvironmentFault,
    InputError,
    PcbSparkError,
    TrainingError,
)
from pcb_spark.demo import camera_drop
from pcb_spark.lake import exchange, leases, session
from pcb_spark.pipeline import doctor, summary
from pcb_spark.pipeline.doctor import Check

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job
    from pcb_spark.pipeline.config import Config

ROOT = Path(__file__).resolve().parents[1]
GOOD = Check(name="Java", ok=True, found="17.0.15", hint="")
BAD = Check(name="Java", ok=False, found="11.0.2", hint="install Java 17")


class World:
    """What a command does to the world: sessions, checks and stages, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.jobs: list[Job] = []
        self.options: list[dict[str, Any]] = []
        self.leases: list[tuple[str, str]] = []
        self.settled: list[str] = []
        self.machine = [GOOD]
        self.spark: Any = SimpleNamespace(stop=lambda: self.events.append("stop"))

    def start(self, config: Config) -> Any:
        self.events.append(f"session {config.spark.master}")
        return self.spark

    def check_machine(self, config: Config) -> list[Check]:
        self.events.append(f"check {config.spark.master}")
        return list(self.machine)

    def check_session(self, spark: object, out: str) -> list[Check]:
        assert spark is self.spark
        self.events.append(f"check {out}")
        return [GOOD]

    def settle(self, spark: object, out: str) -> None:
        assert spark is self.spark
        self.settled.append(out)

    def stage(self, name: str) -> Callable[[Job], object]:
        def run(job: Job, **options: Any) -> None:
            self.events.append(name)
            self.jobs.append(job)
            self.options.append(options)

        return run

    @contextmanager
    def hold(self, spark: object, out: str, *, mode: str, job: str, run_id: str) -> Iterator[None]:
        assert (spark, bool(out), bool(run_id)) == (self.spark, True, True)
        self.leases.append((job, mode))
        yield

    def summarise(self, job: Job) -> str:
        return f"summary of {job.run_id}"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(session, "get", made.start)
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(doctor, "check_machine", made.check_machine)
    monkeypatch.setattr(doctor, "check_session", made.check_session)
    monkeypatch.setattr(leases, "held", made.hold)
    monkeypatch.setattr(exchange, "settle_all", made.settle)
    monkeypatch.setattr(summary, "of_run", made.summarise)
    stages = {
        name: made.stage(name) for name in ("ingest", "featurize", "train", "score", "report")
    }
    upkeep = {name: (f"help of {name}", (made.stage(name),)) for name in ("compact", "prune")}
    jobs = {name: (f"help of {name}", (stage,)) for name, stage in stages.items()}
    whole = {"run": ("help of run", tuple(stages.values()))}
    monkeypatch.setattr(cli, "JOBS", jobs | whole | upkeep)
    return made


def settings(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


IN_OUT = settings("paths.drop=drop", "paths.out=out")


@pytest.mark.parametrize("name", ["ingest", "featurize", "train", "score", "report"])
def test_job_runs_its_stage_in_a_checked_session(
    name: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, *IN_OUT, *settings("spark.master=local[3]", "folds.n=7")]) == 0
    assert world.events == ["check local[3]", "session local[3]", "check out", name, "stop"]
    assert world.settled == ["out"]
    (job,) = world.jobs
    assert job.config.paths.drop == "drop"
    assert job.config.folds.n == 7
    assert job.spark is world.spark
    assert capsys.readouterr().out == f"summary of {job.run_id}\n"


def test_run_is_all_stages_in_one_session(world: World) -> None:
    assert cli.main(["run", *IN_OUT]) == 0
    assert world.events[2:] == [
        "check out",
        "ingest",
        "featurize",
        "train",
        "score",
        "report",
        "stop",
    ]
    assert len({job.run_id for job in world.jobs}) == 1


@pytest.mark.parametrize(
    ("flags", "stage"),
    [([], "ingest"), (["--once"], "ingest"), (["--continuous"], "ingest for good")],
)
def test_ingest_once_or_continuously(
    flags: list[str], stage: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run_ingest_continuously", world.stage("ingest for good"))
    assert cli.main(["ingest", *flags, *IN_OUT]) == 0
    assert world.events[3:] == [stage, "stop"]


@pytest.mark.parametrize("arguments", [["ingest", "--once", "--continuous"], ["run", "--once"]])
def test_modes_are_one_or_the_other_and_those_of_ingest(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, *IN_OUT])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        (["ingest"], "ingest"),
        (["run"], "ingest"),
        (["score"], "other"),
        (["compact"], "upkeep"),
        (["prune", "--before", "2026-01-31"], "upkeep"),
        (["prune", "--before", "2026-01-31", "--dry-run"], "other"),
    ],
)
def test_a_job_holds_a_lease_of_its_kind(arguments: list[str], mode: str, world: World) -> None:
    assert cli.main([*arguments, *IN_OUT]) == 0
    assert world.leases == [(arguments[0], mode)]


@pytest.mark.parametrize(
    ("flags", "force", "dry_run"),
    [([], False, False), (["--force"], True, False), (["--dry-run"], False, True)],
)
def test_prune_is_told_before_when(
    flags: list[str], force: bool, dry_run: bool, world: World
) -> None:
    assert cli.main(["prune", "--before", "2026-01-31", *flags, *IN_OUT]) == 0
    wanted = {"before": date(2026, 1, 31), "force": force, "dry_run": dry_run}
    assert world.options == [wanted]


def test_demo_forgets_what_an_earlier_demo_took_in(
    world: World, renderer: Renderer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "load_backbone", without_weights)
    for name in ("images", "files", "checkpoints", "metrics"):
        (tmp_path / name).mkdir()
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    assert (len(renderer.asked), "ingest" in world.events) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics"]


def test_session_that_was_there_before_is_left_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: world.spark)
    assert cli.main(["score", *IN_OUT]) == 0
    assert world.events[-1] == "score"


def test_configuration_is_read_from_a_file_and_overridden(world: World, tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text('seed = 5\n[paths]\nout = "tables"\n[folds]\nn = 6\n', encoding="utf-8")
    assert cli.main(["train", "--config", str(path), *settings("folds.n=2", "seed=9")]) == 0
    config = world.jobs[0].config
    assert (config.paths.out, config.folds.n, config.seed) == ("tables", 2, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "paths.out is not set"),
        (["ingest", *settings("paths.out=out")], "paths.drop is not set"),
        (["run", *settings("paths.out=out")], "paths.drop is not set"),
        (["train", *IN_OUT, *settings("fold.n=3")], "did you mean folds.n?"),
        (["train", *IN_OUT, *settings("folds.n=three")], "folds.n"),
        (["train", *IN_OUT, *settings("folds.n")], "expected: section.key=value"),
        (["train", *IN_OUT, "--config", "/no/such.toml"], "no configuration file /no/such.toml"),
        (["doctor", *settings("spark.cores=3")], "unknown key spark.cores"),
    ],
)
def test_configuration_is_refused_before_anything_starts(
    arguments: list[str], message: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert world.events == []
    stderr = capsys.readouterr().err
    assert "ERROR" in stderr
    assert "ConfigError: " in stderr
    assert message in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError, 2),
        (EnvironmentFault, 3),
        (InputError, 4),
        (BackboneError, 5),
        (TrainingError, 6),
        (BundleError, 7),
        (AccountingError, 8),
    ],
)
def test_error_of_a_stage_becomes_its_exit_code(
    error: type[PcbSparkError], code: int, world: World, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(_: Job) -> None:
        raise error("the reason", hint="the next step")

    monkeypatch.setitem(cli.JOBS, "train", ("", (fail,)))
    assert cli.main(["train", *IN_OUT]) == code
    assert world.events[-1] == "stop"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{error.__name__}: the reason\n  next: the next step\n" in captured.err
    assert "Traceback" not in captured.err


def test_interrupted_job_stops_its_session(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: Job) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.JOBS, "train", ("", (interrupt,)))
    assert cli.main(["train", *IN_OUT]) == 130
    assert world.events[-1] == "stop"
    assert "interrupted" in capsys.readouterr().err


def test_fault_of_the_machine_is_told_before_a_session_starts(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.machine = [BAD]
    assert cli.main(["train", *IN_OUT]) == 3
    assert world.events == ["check local[*]"]
    assert "install Java 17" in capsys.readouterr().err


def test_doctor_reports_machine_and_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor"]) == 0
    assert world.events == ["check local[*]", "session local[*]", "check ."]
    assert capsys.readouterr().out == "ok    Java  17.0.15\n" * 2


def test_doctor_that_finds_a_fault_starts_no_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.machine = [GOOD, BAD]
    assert cli.main(["doctor"]) == 3
    assert world.events == ["check local[*]"]
    captured = capsys.readouterr()
    assert "FAIL  Java  11.0.2" in captured.out
    assert "install Java 17" in captured.err


class Renderer:
    """Stands for ``render_drop``: keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, folder: Path, **options: Any) -> None:
        self.asked.append({"folder": folder, **options})


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> Renderer:
    made = Renderer()
    monkeypatch.setattr(camera_drop, "render_drop", made)
    return made


def without_weights(_: Config) -> None:
    raise BackboneError("the download failed")


def test_demo_without_weights_goes_on_untrained_and_says_so(
    world: World, renderer: Renderer, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(cli, "load_backbone", without_weights)
    assert cli.main(["demo", "--out", "some/where", "--images", "70", *settings("seed=4")]) == 0
    assert renderer.asked == [{"folder": Path("some/where/drop"), "images": 70, "seed": 4}]
    assert world.events[2:] == [
        "check some/where", "ingest", "featurize", "train", "score", "report", "stop",
    ]  # fmt: skip
    config = world.jobs[0].config
    assert (config.paths.drop, config.paths.out) == ("some/where/drop", "some/where")
    assert config.backbone.weights == "untrained"
    assert config.policy.max_slip_rate == 0.05  # demo.toml
    stderr = capsys.readouterr().err
    assert "WARNING" in stderr
    assert "the download failed" in stderr


def test_demo_with_weights_uses_them(
    world: World, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_backbone", lambda _: None)
    assert cli.main(["demo", "--out", "some where's"]) == 0
    config = world.jobs[0].config
    assert config.backbone.weights == "resnet50-v1-12"
    assert config.paths.out == "some where's"
    assert renderer.asked[0]["folder"] == Path("some where's/drop")


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
    ],
)
def test_command_line_that_cannot_be_read_ends_with_2(
    arguments: list[str], message: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
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


@pytest.mark.parametrize("name", ["ingest", "featurize", "train", "score", "report"])
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


def test_every_job_but_run_has_a_file_of_its_own() -> None:
    files = {path.stem for path in (ROOT / "jobs").glob("*.py")}
    assert files == set(cli.JOBS) - {"run"}


def test_levels_are_set_as_a_list(world: World) -> None:
    levels = ["layer1", "layer3"]
    assert cli.main(["train", *IN_OUT, *settings(f"features.levels={json.dumps(levels)}")]) == 0
    assert world.jobs[0].config.features.levels == ("layer1", "layer3")
