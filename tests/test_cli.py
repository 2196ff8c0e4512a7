from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from pcb_spark.core.errors import (
    AccountingError,
    ApprovalError,
    BackboneError,
    BundleError,
    Busy,
    ConfigError,
    EnvironmentFault,
    InputError,
    LostLease,
    PcbSparkError,
    StorageFault,
    StoreUnreachable,
    TrainingError,
)
from pcb_spark.lake.claims import Claim
from pcb_spark.pipeline.jobs import JOBS
from tests.world import BAD, GOOD, IN_OUT, World, settings


@pytest.fixture
def world() -> World:
    return World()


def test_job_runs_its_stages_in_a_checked_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.call("train", *IN_OUT, *settings("spark.master=local[3]", "folds.n=7")) == 0
    assert world.events == [
        "check local[3]",
        "session local[3]",
        "check out",
        "train",
        "report",
        "register",
        "stop",
    ]
    assert world.mended == [("out", JOBS["train"].claim)]
    job = world.jobs[0]
    assert job.config.paths.drop == "drop"
    assert job.config.folds.n == 7
    assert job.spark is world.spark
    assert capsys.readouterr().out == f"summary of {job.run_id}\n"


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("ingest", ["ingest"]),
        ("featurize", ["featurize"]),
        ("train", ["train", "report", "register"]),
        ("golden", ["golden"]),
        ("score", ["golden_if_served", "score", "report"]),
        ("report", ["report"]),
        ("tune", ["tune"]),
        ("describe", ["describe"]),
        ("compact", ["compact"]),
        (
            "run",
            ["ingest", "golden_if_wanted", "featurize", "train", "score", "report", "register"],
        ),
        ("nightly", ["nightly", "report"]),
        ("retrain", ["retrain"]),
    ],
)
def test_every_job_has_its_stages_in_one_session(
    name: str, stages: list[str], world: World
) -> None:
    assert world.call(name, *IN_OUT) == 0
    assert world.events[2:] == ["check out", *stages, "stop"]
    assert len({job.run_id for job in world.jobs}) == 1


@pytest.mark.parametrize(
    ("flags", "stage"),
    [([], "ingest"), (["--once"], "ingest"), (["--continuous"], "ingest_continuously")],
)
def test_ingest_once_or_continuously(flags: list[str], stage: str, world: World) -> None:
    assert world.call("ingest", *flags, *IN_OUT) == 0
    assert world.events[3:] == [stage, "stop"]


@pytest.mark.parametrize(
    ("arguments", "claim"),
    [
        (["ingest"], JOBS["ingest"].claim),
        (["run"], JOBS["run"].claim),
        (["score"], JOBS["score"].claim),
        (["compact"], JOBS["compact"].claim),
        (["prune", "--before", "2026-01-31"], JOBS["prune"].claim),
        (
            ["prune", "--before", "2026-01-31", "--dry-run"],
            Claim(reads=JOBS["prune"].claim.tables),
        ),
    ],
)
def test_a_job_holds_a_lease_for_what_it_claims(
    arguments: list[str], claim: Claim, world: World
) -> None:
    assert world.call(*arguments, *IN_OUT) == 0
    assert world.leases == [(arguments[0], claim)]


@pytest.mark.parametrize(
    ("job", "engine", "fits", "synapseml"),
    [
        ("score", "synapseml", False, True),
        ("score", "onnxruntime", False, False),
        ("train", "onnxruntime", True, True),
        ("tune", "onnxruntime", True, True),
        ("run", "onnxruntime", True, True),
        ("retrain", "onnxruntime", True, True),
        ("ingest", "onnxruntime", False, False),
    ],
)
def test_synapseml_is_asked_for_where_the_engine_or_a_fit_needs_it(
    job: str, engine: str, fits: bool, synapseml: bool, world: World
) -> None:
    assert world.call(job, *IN_OUT, *settings(f"inference.engine={engine}")) == 0
    assert (world.fits, world.checked_synapseml) == ([fits], [synapseml])


def test_the_service_pauses_for_upkeep(world: World) -> None:
    assert world.call("ingest", "--continuous", *IN_OUT) == 0
    ((job, claim),) = world.leases
    assert (job, claim.pauses, claim.updates) == ("ingest", True, JOBS["ingest"].claim.updates)


@pytest.mark.parametrize(
    ("arguments", "engine", "lasts"),
    [
        (["ingest"], "synapseml", False),
        (["ingest", "--continuous"], "onnxruntime", True),
        (["score"], "synapseml", True),
        (["score"], "onnxruntime", False),
        (["report"], "synapseml", False),
    ],
)
def test_java_lasts_where_a_network_is_in_it_and_in_the_service(
    arguments: list[str], engine: str, lasts: bool, world: World
) -> None:
    assert world.call(*arguments, *IN_OUT, *settings(f"inference.engine={engine}")) == 0
    assert world.lasts == [lasts]


@pytest.mark.parametrize(
    ("flags", "force", "dry_run"),
    [([], False, False), (["--force"], True, False), (["--dry-run"], False, True)],
)
def test_prune_is_told_before_when(
    flags: list[str], force: bool, dry_run: bool, world: World
) -> None:
    assert world.call("prune", "--before", "2026-01-31", *flags, *IN_OUT) == 0
    wanted = {"before": date(2026, 1, 31), "force": force, "dry_run": dry_run}
    assert world.options == [wanted]


def test_session_that_was_there_before_is_left_running(world: World) -> None:
    world.running = True
    assert world.call("featurize", *IN_OUT) == 0
    assert world.events[-1] == "featurize"


def test_configuration_is_read_from_a_file_and_overridden(world: World, tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text('seed = 5\n[paths]\nout = "tables"\n[folds]\nn = 6\n', encoding="utf-8")
    assert world.call("train", "--config", str(path), *settings("folds.n=2", "seed=9")) == 0
    config = world.jobs[0].config
    assert (config.paths.out, config.folds.n, config.seed) == ("tables", 2, 9)


def test_levels_are_set_as_a_list(world: World) -> None:
    levels = ["layer1", "layer3"]
    assert world.call("train", *IN_OUT, *settings(f"features.levels={json.dumps(levels)}")) == 0
    assert world.jobs[0].config.features.levels == ("layer1", "layer3")


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
    assert world.call(*arguments) == 2
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
        (Busy, 9),
        (LostLease, 10),
        (StorageFault, 11),
        (StoreUnreachable, 12),
        (ApprovalError, 13),
    ],
)
def test_error_of_a_stage_becomes_its_exit_code(
    error: type[PcbSparkError], code: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stage_ends["train"] = error("the reason", hint="the next step")
    assert world.call("train", *IN_OUT) == code
    assert world.events[-1] == "stop"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{error.__name__}: the reason\n  next: the next step\n" in captured.err
    assert "Traceback" not in captured.err


def test_interrupted_job_stops_its_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stage_ends["train"] = KeyboardInterrupt()
    assert world.call("train", *IN_OUT) == 130
    assert world.events[-1] == "stop"
    assert "interrupted" in capsys.readouterr().err


def test_fault_of_the_machine_is_told_before_a_session_starts(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.machine = [BAD]
    assert world.call("train", *IN_OUT) == 3
    assert world.events == ["check local[*]"]
    assert "install Java 17" in capsys.readouterr().err


def test_doctor_reports_machine_and_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.call("doctor") == 0
    assert world.events == ["check local[*]", "session local[*]", "check ."]
    first, second, noticing = capsys.readouterr().out.splitlines()
    assert first == second == "ok    Java  17.0.15"
    assert noticing.startswith("With 5 % of the boards as control boards and an audit of 2 %,")


def test_the_audit_plan_starts_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    shares = settings("scoring.control_share=0.1", "policy.max_slip_rate=0.05")
    assert world.call("audit-plan", "--defects-per-night", "32", *shares) == 0
    assert world.events == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "promise: at most 5 % of true defects slip; 32 true defects a night"
    # 64 defects at 3.2 a night.
    assert lines[3].split()[:4] == ["10.0%", "2.0%", "10.9%", "20"]


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_an_audit_plan_of_no_defects_is_refused(
    number: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        world.call("audit-plan", "--defects-per-night", number)
    assert f"{number!r} is no number above 0" in capsys.readouterr().err


def test_doctor_that_finds_a_fault_starts_no_session(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.machine = [GOOD, BAD]
    assert world.call("doctor") == 3
    assert world.events == ["check local[*]"]
    captured = capsys.readouterr()
    assert "FAIL  Java  11.0.2" in captured.out
    assert "install Java 17" in captured.err
