from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.lake import leases

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.lake.leases import Mode


def hold(
    spark: SparkSession, out: Path, job: str, mode: Mode
) -> contextlib.AbstractContextManager[leases.Lease]:
    return leases.held(spark, str(out), mode=mode, job=job, run_id=f"run-{job}")


def leave(out: Path, job: str, **changes: object) -> Path:
    """Leave a lease of a job that looks like this process, but for ``changes``."""
    holder = {
        "mode": "ingest", "job": job, "run_id": job, "host": "plant-7", "place": leases._place(),
        "pid": os.getpid(), "process_started": psutil.Process().create_time(),
        "started_at": "2026-01-05T06:00:00+00:00",
    }  # fmt: skip
    path = out / leases.FOLDER / f"{job}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(holder | changes), encoding="utf-8")
    return path


def leases_in(out: Path) -> list[str]:
    return sorted(path.name for path in (out / leases.FOLDER).iterdir())


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        ("ingest", "ingest", True),
        ("ingest", "other", False),
        ("other", "other", False),
        ("upkeep", "ingest", True),
        ("ingest", "upkeep", True),
        ("upkeep", "other", True),
        ("other", "upkeep", True),
        ("upkeep", "upkeep", True),
    ],
)
def test_which_jobs_go_together(one: Mode, other: Mode, refused: bool) -> None:
    assert leases.excludes(one, other) is refused


def test_a_second_ingest_is_refused_and_says_who_is_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    with hold(spark, tmp_path, "service", "ingest"):
        with pytest.raises(InputError) as caught, hold(spark, tmp_path, "nightly", "ingest"):
            pass
        message = str(caught.value)
        assert "nightly can't work on these tables beside another job" in message
        assert f"got: service on {os.uname().nodename}, process {os.getpid()}, since " in message
        assert f"{tmp_path}/.leases/run-service.json" in message
        assert leases_in(tmp_path) == ["run-service.json"]
        with hold(spark, tmp_path, "score", "other"):
            assert leases_in(tmp_path) == ["run-score.json", "run-service.json"]
    with hold(spark, tmp_path, "nightly", "ingest"):
        assert leases_in(tmp_path) == ["run-nightly.json"]
    assert leases_in(tmp_path) == []


def test_a_lease_is_given_back_by_a_job_that_fails(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(spark, tmp_path, "ingest", "ingest"):
        raise ZeroDivisionError
    assert leases_in(tmp_path) == []


def test_a_killed_process_of_this_machine_counts_as_gone_at_once(
    spark: SparkSession, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = psutil.Process(process.pid).create_time()
        leave(tmp_path, "service", pid=process.pid, process_started=began)
        with pytest.raises(InputError), hold(spark, tmp_path, "nightly", "ingest"):
            pass
        process.kill()
    with hold(spark, tmp_path, "nightly", "ingest"):
        assert leases_in(tmp_path) == ["run-nightly.json"]


def test_another_process_that_got_the_same_number_is_not_the_holder(
    spark: SparkSession, tmp_path: Path
) -> None:
    leave(tmp_path, "service", process_started=psutil.Process().create_time() - 60)
    with hold(spark, tmp_path, "nightly", "ingest"):
        assert leases_in(tmp_path) == ["run-nightly.json"]


@pytest.mark.parametrize("content", [None, "half a le"])
def test_a_lease_from_elsewhere_counts_until_it_is_not_renewed(
    spark: SparkSession, tmp_path: Path, content: str | None
) -> None:
    path = leave(tmp_path, "service", place="another machine", pid=1)
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError), hold(spark, tmp_path, "compact", "upkeep"):
        pass
    old = time.time() - leases.STALE_SECONDS - 60
    os.utime(path, (old, old))
    with hold(spark, tmp_path, "compact", "upkeep"):
        assert leases_in(tmp_path) == ["run-compact.json"]


def test_a_lease_is_renewed_by_writing_it_again(spark: SparkSession, tmp_path: Path) -> None:
    with hold(spark, tmp_path, "ingest", "ingest") as lease:
        path = tmp_path / leases.FOLDER / "run-ingest.json"
        os.utime(path, (0, 0))
        lease.write()
        assert path.stat().st_mtime > time.time() - 60


def test_a_job_that_was_taken_for_dead_stops(spark: SparkSession, tmp_path: Path) -> None:
    with hold(spark, tmp_path, "ingest", "ingest") as lease:
        lease.require()
        (tmp_path / leases.FOLDER / "run-ingest.json").unlink()
        with pytest.raises(InputError, match="ingest lost its lease"):
            lease.require()
