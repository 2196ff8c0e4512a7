"""The night and the model's commands on the command line: what their words ask for."""

from __future__ import annotations

from datetime import date

import pytest

from pcb_spark.pipeline.jobs import JOBS, MODEL
from pcb_spark.pipeline.models import Signed
from pcb_spark.pipeline.nightly import Days
from tests.world import IN_OUT, World, settings

MONDAY, FRIDAY = date(2026, 2, 16), date(2026, 2, 20)
ON_A_STORE = settings("paths.drop=drop", "paths.out=abfss://c@a.dfs.core.windows.net/out")


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("words", "days", "take_in"),
    [
        ([], Days(), True),
        (["--date", "2026-02-16"], Days(first=MONDAY, last=MONDAY), True),
        (["--from", "2026-02-16", "--to", "2026-02-20"], Days(first=MONDAY, last=FRIDAY), True),
        (["--no-ingest"], Days(), False),
    ],
)
def test_a_night_is_told_its_days(
    words: list[str], days: Days, take_in: bool, world: World
) -> None:
    assert world.call("nightly", *words, *IN_OUT) == 0
    assert world.options[0] == {"days": days, "take_in": take_in}


def test_a_night_that_takes_nothing_in_goes_together_with_the_service(world: World) -> None:
    assert world.call("nightly", "--no-ingest", *settings("paths.out=out")) == 0
    ((_, claim),) = world.leases
    assert not claim.excludes(JOBS["ingest"].claim)
    assert claim.excludes(JOBS["nightly"].claim)


@pytest.mark.parametrize(("words", "waits"), [([], False), (["--decisions", "in"], True)])
def test_a_queue_that_keeps_whom_edge_machines_asked_waits_for_training(
    words: list[str], waits: bool, world: World
) -> None:
    assert world.call("review-queue", "--to", "queue", *words, *IN_OUT) == 0
    ((_, claim),) = world.leases
    assert claim.excludes(JOBS["tune"].claim) is waits


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "2026-02-16"],
        ["--to", "2026-02-16"],
        ["--date", "2026-02-16", "--to", "2026-02-20", "--from", "2026-02-16"],
        ["--from", "2026-02-20", "--to", "2026-02-16"],
    ],
)
def test_days_that_contradict_each_other_are_refused(words: list[str], world: World) -> None:
    assert world.call("nightly", *words, *IN_OUT) == 2
    assert world.events == []


def test_a_night_without_a_drop_is_refused(world: World) -> None:
    assert world.call("nightly", *settings("paths.out=out")) == 2


@pytest.mark.parametrize("words", [["nightly"], ["model", "list"], ["model", "promote"]])
def test_tables_on_a_store_need_a_registry_before_anything_starts(
    words: list[str], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.call(*words, *ON_A_STORE) == 2
    assert world.events == []
    assert "registry.uri is not set" in capsys.readouterr().err


@pytest.mark.parametrize("action", MODEL)
def test_each_action_holds_its_own_lease(action: str, world: World) -> None:
    why = ["--why", "slips"] if action == "rollback" else []
    assert world.call("model", action, *why, *settings("paths.out=out")) == 0
    assert world.leases == [(f"model {action}", MODEL[action].claim)]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["show"], {"version": "challenger"}),
        (["compare", "3"], {"version": "3"}),
        (
            ["promote", "champion", "--who", "me", "--why", "a trial", "--force"],
            {"version": "champion", "force": True, "signed": Signed(who="me", why="a trial")},
        ),
        (
            ["rollback", "--who", "me", "--why", "slips"],
            {"signed": Signed(who="me", why="slips")},
        ),
    ],
)
def test_actions_are_told_which_version_who_and_why(
    words: list[str], options: dict[str, object], world: World
) -> None:
    assert world.call("model", *words, *settings("paths.out=out")) == 0
    assert world.options == [options]


def test_a_way_back_goes_together_with_a_night() -> None:
    assert not MODEL["rollback"].claim.excludes(JOBS["nightly"].claim)
    assert MODEL["rollback"].claim.excludes(MODEL["promote"].claim)
