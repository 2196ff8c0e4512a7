from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psutil
import pytest

from pcb_spark.core.errors import Busy, LostLease
from pcb_spark.lake import holders, leases, neighbours
from pcb_spark.pipeline.jobs import JOBS, SERVICE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.claims import Claim

INGEST, COMPACT = JOBS["ingest"].claim, JOBS["compact"].claim


def hold(
    spark: SparkSession, out: Path, job: str, claim: Claim
) -> contextlib.AbstractContextManager[leases.Lease]:
    return leases.held(spark, str(out), claim=claim, job=job, run_id=f"run-{job}")


def leave(out: Path, job: str, claim: Claim = INGEST, **changes: object) -> Path:
    """Leave a lease of a job that looks like this process, but for ``changes``."""
    holder = holders.myself(claim, job=job, run_id=job)
    changed = dataclasses.replace(holder, host="plant-7", **changes)  # type: ignore[arg-type]
    path = out / neighbours.FOLDER / f"{job}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(holders.to_bytes(changed))
    return path


def leases_in(out: Path) -> list[str]:
    return sorted(path.name for path in (out / neighbours.FOLDER).iterdir())


class Clock:
    """A clock that sleeping moves on, and what happens at each second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.every_second: Callable[[], object] = lambda: None
        stand_in = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(leases, "time", stand_in)
        monkeypatch.setattr(holders, "time", stand_in)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.every_second()

    def stop_at(self, second: float) -> threading.Event:
        """A signal to end that comes then."""
        is_over = SimpleNamespace(is_set=lambda: self.now >= second, wait=self.sleep)
        return cast("threading.Event", is_over)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


ALONGSIDE_ITSELF = ("describe", "export", "review-queue", "explain", "decisions")
TOGETHER = [
    ("ingest", "featurize"), ("ingest", "train"), ("ingest", "score"), ("ingest", "report"),
    ("ingest", "describe"), ("ingest", "tune"), ("tune", "train"),
    ("tune", "featurize"), ("describe", "train"), ("describe", "score"), ("describe", "describe"),
    ("describe", "featurize"), ("describe", "tune"), ("describe", "report"), ("tune", "report"),
    ("featurize", "report"), ("export", "export"), ("review-queue", "review-queue"),
    ("review-queue", "export"), ("review-queue", "describe"), ("explain", "explain"),
    ("explain", "ingest"), ("decisions", "decisions"), ("decisions", "ingest"),
]  # fmt: skip
APART = [
    *((job, job) for job in JOBS if job not in ALONGSIDE_ITSELF),
    ("train", "score"), ("train", "featurize"), ("featurize", "score"), ("ingest", "run"),
    ("train", "report"), ("score", "report"), ("run", "train"), ("run", "score"),
    ("score", "tune"), ("run", "tune"), ("export", "train"),
    ("export", "score"), ("export", "nightly"), ("review-queue", "nightly"),
    ("decisions", "nightly"),
    *(("compact", job) for job in JOBS), *(("prune", job) for job in JOBS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "excluded"),
    [(*pair, False) for pair in TOGETHER] + [(*pair, True) for pair in APART],
)
def test_which_jobs_go_together(one: str, other: str, excluded: bool) -> None:
    assert JOBS[one].claim.excludes(JOBS[other].claim) is excluded
    assert JOBS[other].claim.excludes(JOBS[one].claim) is excluded


@pytest.mark.parametrize("job", [job for job in JOBS if job != "prune"])
def test_a_look_at_what_prune_would_do_is_a_reader(job: str) -> None:
    looking = JOBS["prune"].claim.looking_only()
    assert looking.excludes(JOBS[job].claim) is bool(JOBS[job].claim.replaces & looking.tables)


def test_a_second_ingest_is_refused_and_says_who_is_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    with hold(spark, tmp_path, "service", SERVICE.claim):
        with pytest.raises(Busy) as caught, hold(spark, tmp_path, "nightly", INGEST):
            pass
        message = str(caught.value)
        assert "nightly can't work on these tables beside another job" in message
        assert f"got: service on {os.uname().nodename}, process {os.getpid()}, since " in message
        assert f"{tmp_path}/.leases/run-service.json" in message
        assert leases_in(tmp_path) == ["run-service.json"]
        with hold(spark, tmp_path, "score", JOBS["score"].claim):
            assert leases_in(tmp_path) == ["run-score.json", "run-service.json"]
    with hold(spark, tmp_path, "nightly", INGEST):
        assert leases_in(tmp_path) == ["run-nightly.json"]
    assert leases_in(tmp_path) == []


def test_a_lease_is_given_back_by_a_job_that_fails(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(spark, tmp_path, "ingest", INGEST):
        raise ZeroDivisionError
    assert leases_in(tmp_path) == []


def test_a_killed_process_of_this_machine_counts_as_gone_at_once(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = psutil.Process(process.pid).create_time()
        leave(tmp_path, "service", pid=process.pid, process_started=began)
        with pytest.raises(Busy), hold(spark, tmp_path, "nightly", INGEST):
            pass
        process.kill()
    with hold(spark, tmp_path, "nightly", INGEST):
        assert leases_in(tmp_path) == ["run-nightly.json"]
    assert clock.now == 0


def test_another_process_that_got_the_same_number_is_not_the_holder(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    leave(tmp_path, "service", process_started=psutil.Process().create_time() - 60)
    with hold(spark, tmp_path, "nightly", INGEST):
        assert leases_in(tmp_path) == ["run-nightly.json"]
    assert clock.now == 0


@pytest.mark.parametrize("content", [None, "half a le", '{"mode": "ingest", "job": "service"}'])
def test_a_restarted_pod_takes_over_after_half_a_minute_in_which_nobody_renews(
    spark: SparkSession, tmp_path: Path, clock: Clock, content: str | None
) -> None:
    """Its host may have the same name; its process ids say nothing about those before it."""
    path = leave(tmp_path, "service", SERVICE.claim, place="plant-7 pid:[1]", pid=1)
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with hold(spark, tmp_path, "restarted", SERVICE.claim):
        assert leases_in(tmp_path) == ["run-restarted.json"]
    assert 2 * holders.RENEW_SECONDS < clock.now < 35


def test_a_job_elsewhere_that_renews_its_lease_is_alive(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    path = leave(tmp_path, "service", SERVICE.claim, place="plant-7 pid:[1]", pid=1)
    now = path.stat().st_mtime
    clock.every_second = lambda: os.utime(path, (now, now + clock.now // holders.RENEW_SECONDS))
    with pytest.raises(Busy), hold(spark, tmp_path, "restarted", SERVICE.claim):
        pass
    assert clock.now == holders.RENEW_SECONDS
    assert leases_in(tmp_path) == ["service.json"]


def test_a_lease_that_is_old_by_the_clock_of_the_store_needs_no_watching(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    path = leave(tmp_path, "service", place="another machine", pid=1)
    old = time.time() - neighbours.STALE_SECONDS - 60
    os.utime(path, (old, old))
    with hold(spark, tmp_path, "compact", COMPACT):
        assert leases_in(tmp_path) == ["run-compact.json"]
    assert clock.now == 0


def test_a_lease_is_renewed_by_writing_it_again(spark: SparkSession, tmp_path: Path) -> None:
    with hold(spark, tmp_path, "ingest", INGEST) as lease:
        path = tmp_path / neighbours.FOLDER / "run-ingest.json"
        os.utime(path, (0, 0))
        lease.write()
        assert path.stat().st_mtime > time.time() - 60


def test_a_job_that_was_taken_for_dead_stops(spark: SparkSession, tmp_path: Path) -> None:
    with hold(spark, tmp_path, "ingest", INGEST) as lease:
        lease.require()
        (tmp_path / neighbours.FOLDER / "run-ingest.json").unlink()
        with pytest.raises(LostLease, match="ingest lost its lease"):
            lease.require()


@pytest.mark.usefixtures("clock")
def test_a_job_that_renews_a_lease_that_was_taken_away_has_none(
    spark: SparkSession, tmp_path: Path
) -> None:
    """It slept between looking at its lease and writing it again."""
    with hold(spark, tmp_path, "sleeper", INGEST) as lease:
        path = Path(lease.uri)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"place": "elsewhere"}))
        with hold(spark, tmp_path, "heir", INGEST):
            lease.write()
            with pytest.raises(LostLease):
                lease.require()
        with hold(spark, tmp_path, "next", INGEST):
            assert leases_in(tmp_path) == ["run-next.json"]


def test_compact_waits_until_the_service_pauses_and_the_service_until_compact_is_done(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    with hold(spark, tmp_path, "service", SERVICE.claim) as service:

        def pauses() -> None:
            if clock.now == 7:
                service.write(paused=True)

        clock.every_second = pauses
        with hold(spark, tmp_path, "compact", COMPACT):
            assert clock.now == 7
            assert service.make_way(clock.stop_at(60)) is False
            assert service.holder.paused
            with pytest.raises(Busy), hold(spark, tmp_path, "nightly", INGEST):
                pass
        assert service.make_way(clock.stop_at(120)) is True
        assert not service.holder.paused
        assert not service.asked.is_set()


def test_a_service_hears_that_it_is_asked_when_it_renews_its_lease(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "RENEW_SECONDS", 0.05)
    with hold(spark, tmp_path, "service", SERVICE.claim) as service:
        leave(tmp_path, "train", JOBS["train"].claim)
        assert not service.asked.wait(0.3)
        leave(tmp_path, "compact", COMPACT)
        assert service.asked.wait(10)


def test_a_service_goes_on_when_who_asked_is_gone(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    with hold(spark, tmp_path, "service", SERVICE.claim) as service:
        leave(tmp_path, "compact", COMPACT, place="another machine", pid=1)
        assert service.make_way(clock.stop_at(1000))
        assert clock.now < 35
        assert leases_in(tmp_path) == ["run-service.json"]


def test_compact_does_not_wait_for_a_job_that_ends_by_itself(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    with (
        hold(spark, tmp_path, "train", JOBS["train"].claim),
        pytest.raises(Busy),
        hold(spark, tmp_path, "compact", COMPACT),
    ):
        pass
    assert clock.now == 0


def test_compact_gives_up_where_the_service_never_pauses(
    spark: SparkSession, tmp_path: Path, clock: Clock
) -> None:
    with (
        hold(spark, tmp_path, "service", SERVICE.claim),
        pytest.raises(Busy),
        hold(spark, tmp_path, "compact", COMPACT),
    ):
        pass
    assert 1700 < clock.now < 1900
