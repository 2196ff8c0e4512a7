"""Exchanges that end between any two of their steps; the disk stands for a store of objects too."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core.errors import Busy, LostLease
from pcb_spark.lake import exchange, filesystem, holders, stores
from pcb_spark.lake.claims import Claim
from tests import drops
from tests.leased import falls_asleep, writer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OLD = {"table/day=1/a": b"old", "table/day=1/c": b"old", "table/day=2/b": b"old"}
OLD |= {"table/_SUCCESS": b""}
NEW = {"day=1/c": b"new", "day=3/d": b"new", "_SUCCESS": b""}
DAYS = [("day=1", True), ("day=2", False), ("day=3", True)]
WHOLE_RESULT = {"table/day=1/c": b"new", "table/day=3/d": b"new", "table/_SUCCESS": b""}
DAY_RESULT = {"table/day=1/c": b"new", "table/day=2/b": b"old", "table/_SUCCESS": b""}
NEWEST = ("table/e", "table/_SUCCESS")
CHANGES = ("move", "remove", "write_whole", "copy_over", "remove_empty")


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it and tidy up."""


@pytest.fixture(params=[True, False], ids=["renames folders", "copies files"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        stores, "STORES", {"file": stores.Store(None, renames_folders=request.param)}
    )
    lay_out(tmp_path)
    return tmp_path


def lay_out(folder: Path) -> str:
    """The table as it was, and a successor of it."""
    for path in folder.iterdir():
        if not path.name.startswith(".leases"):
            shutil.rmtree(path)
    drops.write(folder, {**OLD, **{f".staging-table-x/{name}": text for name, text in NEW.items()}})
    return str(folder / ".staging-table-x")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".crc")
    named = {path.relative_to(folder): path.read_bytes() for path in found}
    return {str(p): text for p, text in named.items() if not p.parts[0].startswith(".leases")}


def table(folder: Path) -> dict[str, bytes]:
    return {name: text for name, text in files(folder).items() if name.startswith("table/")}


def at_change(
    monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], object]
) -> list[str]:
    """Let something happen right before change ``number`` to the store; what was changed so far."""
    changes: list[str] = []
    for name in CHANGES:
        whole: Callable[..., Any] = getattr(filesystem, name)

        def change(*words: Any, whole: Callable[..., Any] = whole, name: str = name) -> object:
            changes.append(name)
            if len(changes) == number:
                happens()
            return whole(*words)

        monkeypatch.setattr(filesystem, name, change)
    return changes


def kill() -> None:
    raise Killed


@pytest.mark.parametrize(
    ("parts", "result"),
    [(exchange.WHOLE, WHOLE_RESULT), (DAYS, WHOLE_RESULT), (DAYS[:1], DAY_RESULT)],
    ids=["whole", "days", "a day"],
)
def test_exchange_is_whole_wherever_it_was_killed(
    spark: SparkSession, folder: Path, parts: list[exchange.Part], result: dict[str, bytes]
) -> None:
    uri, number, ended = str(folder / "table"), 0, False
    while not ended:
        number += 1
        successor = lay_out(folder)
        with writer(spark, folder, "one") as lease, pytest.MonkeyPatch.context() as patch:
            at_change(patch, number, kill)
            try:
                exchange.swap(spark, uri, successor, parts, lease=lease)
                ended = True
            except Killed:
                pass
        begun = any(folder.glob(".exchange-table/*/plan.json"))
        if not begun:  # who sees half a table sees the journal too
            assert table(folder) in (OLD, result)
        with writer(spark, folder, "two") as lease:
            exchange.finish(spark, uri, lease=lease)
        if begun or ended:
            assert table(folder) == result
        assert not (folder / ".exchange-table").exists()
    assert number > 5
    assert files(folder) == result


def test_who_goes_on_may_be_killed_at_any_step_too(spark: SparkSession, folder: Path) -> None:
    uri, number, ended = str(folder / "table"), 0, False
    while not ended:
        number += 1
        successor = lay_out(folder)
        with writer(spark, folder, "one") as lease, pytest.MonkeyPatch.context() as patch:
            at_change(patch, 4, kill)
            with pytest.raises(Killed):
                exchange.swap(spark, uri, successor, DAYS, lease=lease)
        with writer(spark, folder, "two") as lease, pytest.MonkeyPatch.context() as patch:
            at_change(patch, number, kill)
            try:
                exchange.finish(spark, uri, lease=lease)
                ended = True
            except Killed:
                pass
        with writer(spark, folder, "three") as lease:
            exchange.finish(spark, uri, lease=lease)
        assert table(folder) == WHOLE_RESULT
    assert number > 5


@pytest.mark.parametrize(
    ("parts", "result"), [(exchange.WHOLE, WHOLE_RESULT), (DAYS[:1], DAY_RESULT)],
    ids=["whole", "a day"],
)  # fmt: skip
def test_a_writer_that_slept_in_a_step_and_wakes_up_changes_nothing(
    spark: SparkSession, folder: Path, parts: list[exchange.Part], result: dict[str, bytes]
) -> None:
    """Another job goes on with its exchange meanwhile; it may even exchange the table once more."""
    uri, number, woke = str(folder / "table"), 0, True
    while woke:
        number += 1
        for later in (False, True):
            successor = lay_out(folder)
            woke = False
            name = f"sleeper-{number}-{later}"
            with writer(spark, folder, name) as lease, pytest.MonkeyPatch.context() as patch:

                def sleep(later: bool = later, lease: Any = lease) -> None:
                    nonlocal woke
                    woke = True
                    falls_asleep(lease)
                    with writer(spark, folder, "heir") as own:
                        exchange.finish(spark, uri, lease=own)
                        if later:
                            drops.write(folder, {f".staging-{name}": b"" for name in NEWEST})
                            successor = str(folder / ".staging-table")
                            exchange.swap(spark, uri, successor, lease=own)

                at_change(patch, number, sleep)
                try:
                    exchange.swap(spark, uri, successor, parts, lease=lease)
                except LostLease:
                    assert woke
            if woke and later:
                assert table(folder) == dict.fromkeys(NEWEST, b"")
            elif woke:
                assert table(folder) in ([OLD, result] if number == 1 else [result])
    assert number > 5
    assert table(folder) == result


def test_a_writer_may_wake_up_when_who_goes_on_has_been_killed(
    spark: SparkSession, folder: Path
) -> None:
    """It slept where it takes the old table away: by a rename, or by its first delete."""
    uri, number, ended = str(folder / "table"), 0, False
    while not ended:
        number += 1
        successor = lay_out(folder)
        name = f"sleeper-{number}"
        with writer(spark, folder, name) as lease, pytest.MonkeyPatch.context() as patch:

            def sleep(lease: Any = lease, number: int = number) -> None:
                nonlocal ended
                falls_asleep(lease)
                name = f"heir-{number}"
                with writer(spark, folder, name) as own, pytest.MonkeyPatch.context() as inner:
                    at_change(inner, number, kill)
                    try:
                        exchange.finish(spark, uri, lease=own)
                        ended = True
                    except Killed:
                        pass

            at_change(patch, 2, sleep)
            with contextlib.suppress(LostLease):
                exchange.swap(spark, uri, successor, lease=lease)
        with writer(spark, folder, f"third-{number}") as own:
            exchange.finish(spark, uri, lease=own)
        assert table(folder) == WHOLE_RESULT
    assert number > 5


def test_deletes_are_by_name_in_batches_with_a_look_at_the_owner_in_between(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "STORES", {"file": stores.Store(None, renames_folders=False)})
    drops.write(tmp_path, {f"table/{n:03}": b"old" for n in range(120)})
    drops.write(tmp_path, {".staging-table-x/new": b"new"})
    deleted: list[str] = []
    remove = filesystem.remove

    def note(spark: SparkSession, uri: str) -> None:
        deleted.append(uri)
        remove(spark, uri)
        if len(deleted) == 10:
            falls_asleep(lease)
            with writer(spark, tmp_path, "heir") as own:
                exchange.finish(spark, str(tmp_path / "table"), lease=own)
            deleted.append("awake")

    with writer(spark, tmp_path, "sleeper") as lease:
        monkeypatch.setattr(filesystem, "remove", note)
        with pytest.raises(LostLease, match="sleeper lost its lease"):
            exchange.swap(
                spark, str(tmp_path / "table"), str(tmp_path / ".staging-table-x"), lease=lease
            )
    assert len(deleted) - deleted.index("awake") < 50
    assert str(tmp_path / "table") not in deleted
    assert table(tmp_path) == {"table/new": b"new"}


def test_who_failed_to_go_on_may_try_again(spark: SparkSession, folder: Path) -> None:
    left_half_done(folder, str(folder / ".leases/run-1.json"))
    with writer(spark, folder, "heir") as lease:
        with pytest.MonkeyPatch.context() as patch:
            at_change(patch, 3, kill)
            with pytest.raises(Killed):
                exchange.finish(spark, str(folder / "table"), lease=lease)
        exchange.finish(spark, str(folder / "table"), lease=lease)
    assert files(folder) == WHOLE_RESULT


def test_resumed_exchange_copies_anew_what_a_killed_job_had_begun_to_copy(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of an earlier version, too: its plan names no owner and no files."""
    monkeypatch.setattr(stores, "STORES", {"file": stores.Store(None, renames_folders=False)})
    plan = b'{"successor": "%s", "parts": [["", true]]}' % str(tmp_path / ".staging-t").encode()
    drops.write(tmp_path, {
        ".exchange-t/plan.json": plan, ".exchange-t/0-cleared": b"",
        "t/a": b"moved", "t/b": b"ha", ".staging-t/b": b"half", ".staging-t/c": b"not yet",
    })  # fmt: skip
    with writer(spark, tmp_path, "heir", "t") as lease:
        exchange.finish(spark, str(tmp_path / "t"), lease=lease)
    assert files(tmp_path) == {"t/a": b"moved", "t/b": b"half", "t/c": b"not yet"}


@pytest.mark.parametrize("plan", [b"", None], ids=["half written", "removed already"])
def test_journal_without_a_plan_changes_nothing(
    spark: SparkSession, tmp_path: Path, plan: bytes | None
) -> None:
    drops.write(tmp_path, {"t/a": b"kept", ".exchange-t/7/0-cleared": b""})
    if plan is not None:
        drops.write(tmp_path, {".exchange-t/7/plan.json": plan})
    with writer(spark, tmp_path, "heir", "t") as lease:
        exchange.finish(spark, str(tmp_path / "t"), lease=lease)
    assert files(tmp_path) == {"t/a": b"kept"}


class Clock:
    """A clock that sleeping moves on, and what happens at some of its seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.events = 0.0, dict[int, Callable[[], object]]()
        stand_in = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(exchange, "time", stand_in)
        monkeypatch.setattr(holders, "time", stand_in)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.events.pop(round(self.now), lambda: None)()


def left_half_done(folder: Path, lease: str) -> None:
    """An exchange of which the first move is still to do, by the job that holds ``lease``."""
    plan = {
        "successor": str(folder / ".staging-table-x"), "parts": [["", True]], "old": None,
        "met": None, "job": "train", "run": "run-1", "lease": lease,
    }  # fmt: skip
    lay_out(folder)
    drops.write(folder, {".exchange-table/7/plan.json": json.dumps(plan)})


def test_a_reader_waits_for_a_living_job_and_goes_on_when_it_is_done(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    with writer(spark, tmp_path, "run-1") as lease:
        left_half_done(tmp_path, f"file:{lease.uri}")
        lease.write()
        clock.events[300] = lambda: exchange.finish(spark, str(tmp_path / "table"), lease=lease)
        exchange.settle(spark, str(tmp_path / "table"))
    assert (clock.now, table(tmp_path)) == (300, WHOLE_RESULT)


def test_a_reader_never_goes_on_with_an_exchange_and_says_who_does(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    left_half_done(tmp_path, str(tmp_path / ".leases/run-1.json"))
    before = files(tmp_path)
    with pytest.raises(Busy, match="a job that is gone left it half exchanged") as caught:
        exchange.settle(spark, str(tmp_path / "table"))
    assert "start that job, or any that writes the table" in str(caught.value)
    assert "train" in str(caught.value.got)
    assert 100 < clock.now < 300
    with pytest.raises(Busy):
        exchange.finish(spark, str(tmp_path / "table"))
    assert files(tmp_path) == before


def test_a_reader_does_not_wait_for_ever(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(exchange, "PATIENCE_SECONDS", 200.0)
    with writer(spark, tmp_path, "run-1") as lease:
        left_half_done(tmp_path, f"file:{lease.uri}")
        lease.write()
        with pytest.raises(Busy, match="it is being exchanged"):
            exchange.settle(spark, str(tmp_path / "table"))
    assert 200 < clock.now < 210


def test_who_writes_without_a_lease_is_alive_as_long_as_its_journal_changes(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    left_half_done(tmp_path, "")
    clock.events[20] = lambda: drops.write(tmp_path, {".exchange-table/7/beat": b""})
    with writer(spark, tmp_path, "heir") as lease, pytest.raises(Busy):
        exchange.finish(spark, str(tmp_path / "table"), lease=lease)
    assert clock.now == 20
    with writer(spark, tmp_path, "heir") as lease:
        exchange.finish(spark, str(tmp_path / "table"), lease=lease)
    assert table(tmp_path) == WHOLE_RESULT


@pytest.mark.parametrize("name", ["table", "other"])
def test_a_job_takes_a_lease_for_the_repair_of_tables_that_it_only_reads(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    left_half_done(tmp_path, str(tmp_path / ".leases/run-1.json"))
    claim = Claim(reads=frozenset({name}))
    exchange.mend(spark, str(tmp_path), claim, run_id="run-2")
    assert (table(tmp_path) == WHOLE_RESULT) is (name == "table")
    assert list((tmp_path / ".leases").glob("*") if name == "table" else []) == []


def test_an_exchange_of_which_nothing_had_moved_is_given_up_without_its_successor(
    spark: SparkSession, folder: Path
) -> None:
    left_half_done(folder, str(folder / ".leases/run-1.json"))
    shutil.rmtree(folder / ".staging-table-x")
    with writer(spark, folder, "heir") as lease:
        exchange.finish(spark, str(folder / "table"), lease=lease)
    assert files(folder) == OLD


def test_a_job_exchanges_only_what_it_claims(spark: SparkSession, tmp_path: Path) -> None:
    successor = lay_out(tmp_path)
    with (
        writer(spark, tmp_path, "score", "scores") as lease,
        pytest.raises(RuntimeError, match="score exchanges table and doesn't claim it"),
    ):
        exchange.swap(spark, str(tmp_path / "table"), successor, lease=lease)
    assert table(tmp_path) == OLD
