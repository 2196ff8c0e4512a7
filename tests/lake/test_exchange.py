"""Exchanges that end between any two of their steps; the disk stands for a store of objects too."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pcb_spark.lake import exchange, filesystem, stores
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OLD = {"table/day=1/a": b"old", "table/day=2/b": b"old", "table/_SUCCESS": b""}
NEW = {"day=1/c": b"new", "day=3/d": b"new", "_SUCCESS": b""}
DAYS = [("day=1", True), ("day=2", False), ("day=3", True)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it and tidy up."""


@pytest.fixture(params=[True, False], ids=["renames folders", "copies files"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        stores, "STORES", {"file": stores.Store(None, renames_folders=request.param)}
    )
    drops.write(tmp_path, {**OLD, **{f".staging-table/{name}": text for name, text in NEW.items()}})
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".crc")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def table(folder: Path) -> set[str]:
    return {name for name in files(folder) if name.startswith("table/")}


def kill_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """End the job before its next change to the store after ``steps`` of them."""
    left = [steps]
    for name in ("move", "remove", "write_whole"):
        whole = getattr(filesystem, name)

        def change(*words: object, whole: object = whole) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return whole(*words)  # type: ignore[operator]

        monkeypatch.setattr(filesystem, name, change)


@pytest.mark.parametrize(
    ("parts", "result"),
    [
        (exchange.WHOLE, {"table/day=1/c", "table/day=3/d", "table/_SUCCESS"}),
        (DAYS, {"table/day=1/c", "table/day=3/d", "table/_SUCCESS"}),
        ([("day=1", True)], {"table/day=1/c", "table/day=2/b", "table/_SUCCESS"}),
    ],
)
def test_exchange_is_whole_wherever_it_was_killed(
    spark: SparkSession, folder: Path, parts: list[exchange.Part], result: set[str]
) -> None:
    uri, before, steps, ended = str(folder / "table"), files(folder), 0, False
    while not ended:
        with pytest.MonkeyPatch.context() as patch:
            kill_after(patch, steps)
            try:
                exchange.swap(spark, uri, exchange.staging(uri), parts)
                ended = True
            except Killed:
                steps += 1
        begun = (folder / ".exchange-table" / "plan.json").exists()
        if not begun:  # who sees half a table sees the journal too
            assert table(folder) in (set(OLD), result)
        exchange.finish(spark, uri)
        assert table(folder) == (result if begun or ended else table(folder))
        assert not (folder / ".exchange-table").exists()
        if not ended:
            shutil.rmtree(folder)
            drops.write(folder, before)
    assert steps > 4
    assert table(folder) == result == set(files(folder))


def test_resumed_exchange_copies_anew_what_a_killed_job_had_begun_to_copy(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "STORES", {"file": stores.Store(None, renames_folders=False)})
    plan = b'{"successor": "%s", "parts": [["", true]]}' % str(tmp_path / ".staging-t").encode()
    drops.write(tmp_path, {
        ".exchange-t/plan.json": plan, ".exchange-t/0-cleared": b"",
        "t/a": b"moved", "t/b": b"ha", ".staging-t/b": b"half", ".staging-t/c": b"not yet",
    })  # fmt: skip
    exchange.finish(spark, str(tmp_path / "t"))
    assert files(tmp_path) == {"t/a": b"moved", "t/b": b"half", "t/c": b"not yet"}


@pytest.mark.parametrize("plan", [b"", None], ids=["half written", "removed already"])
def test_journal_without_a_plan_changes_nothing(
    spark: SparkSession, tmp_path: Path, plan: bytes | None
) -> None:
    drops.write(tmp_path, {"t/a": b"kept", ".exchange-t/0-cleared": b""})
    if plan is not None:
        drops.write(tmp_path, {".exchange-t/plan.json": plan})
    exchange.finish(spark, str(tmp_path / "t"))
    assert files(tmp_path) == {"t/a": b"kept"}


def test_job_waits_for_an_exchange_and_finishes_it_once_its_job_is_dead(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = b'{"successor": "%s", "parts": [["", true]]}' % str(tmp_path / ".staging-t").encode()
    drops.write(tmp_path, {".exchange-t/plan.json": plan, ".staging-t/a": b"new"})
    clock, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds
        if len(slept) == 50:  # a sign of life
            drops.write(tmp_path, {".exchange-t/0-beat-1": b""})

    stand_in = SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep)
    monkeypatch.setattr(exchange, "time", stand_in)
    exchange.settle_all(spark, str(tmp_path))
    assert files(tmp_path) == {"t/a": b"new"}
    assert 110 < len(slept) < 113
