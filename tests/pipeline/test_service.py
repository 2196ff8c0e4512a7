"""The ingest service as it runs: idle, asked to pause, and at work again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.ingest.intake import Intake
from pcb_spark.lake import holders, leases, neighbours
from pcb_spark.pipeline import Job, run_compact, run_ingest_continuously
from pcb_spark.pipeline.jobs import JOBS, SERVICE
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/line=L1/date=2026-01-05"
QUICK = ("ingest.look_seconds=1", "ingest.trigger_seconds=1", "ingest.settle_seconds=0")


class Watcher(threading.Thread):
    """Does something beside the service, which has the main thread, and ends it."""

    def __init__(self, script: Iterator[Callable[[], object]]) -> None:
        super().__init__()
        self.script, self.fault = script, ""

    def run(self) -> None:
        deadline = time.monotonic() + 600
        for condition in self.script:
            while not condition() and not self.fault:
                time.sleep(0.05)
                if time.monotonic() > deadline:
                    self.fault = f"waited for {condition.__name__}"
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the service began each look at the drop."""
    began: list[float] = []
    refresh = Intake.refresh

    def note(intake: Intake) -> None:
        began.append(time.monotonic())
        refresh(intake)

    monkeypatch.setattr(Intake, "refresh", note)
    return began


def tables(out: Path) -> dict[str, int]:
    """Every file, and when it was written; but the leases, which are renewed."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in files
        if neighbours.FOLDER not in path.parts
    }


def serve(spark: SparkSession, folder: Path, script: Iterator[Callable[[], object]]) -> None:
    job = drops.job(spark, folder / "drop", folder / "out", *QUICK)
    claim, out = SERVICE.claim, str(folder / "out")
    watcher = Watcher(script)
    with leases.held(spark, out, claim=claim, job="ingest", run_id=job.run_id) as lease:
        watcher.start()
        run_ingest_continuously(Job(spark=spark, config=job.config, run_id=job.run_id, lease=lease))
    watcher.join()
    assert watcher.fault == ""


@pytest.mark.slow
def test_a_service_writes_nothing_while_nothing_comes(
    spark: SparkSession, tmp_path: Path, passes: list[float]
) -> None:
    drops.write(tmp_path / "drop", {
        f"{DAY}/a_P1.png": drops.picture(1), f"{DAY}/b_P1.png": "no picture",
        "verdicts.csv": f"image,verdict\n{DAY}/a_P1.png,pass\n",
    })  # fmt: skip
    seen: list[dict[str, int]] = []

    def script() -> Iterator[Callable[[], object]]:
        yield lambda: list((tmp_path / "out" / "runs").glob("*.parquet"))
        booked = len(passes)
        yield lambda: len(passes) > booked  # so the first pass is over
        seen.append(tables(tmp_path / "out"))
        yield lambda: len(passes) > booked + 1
        seen.append(tables(tmp_path / "out"))

    serve(spark, tmp_path, script())
    assert seen[0] == seen[1]
    assert len(drops.rows(spark, tmp_path / "out", "runs", "kind")) == 2


@pytest.mark.slow
def test_links_that_appear_later_are_counted_and_not_followed(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, day = tmp_path / "out", tmp_path / "drop" / DAY
    drops.write(tmp_path / "drop", {f"{DAY}/a_P1.png": drops.picture(1)})
    caplog.set_level("INFO", "pcb_spark")

    def script() -> Iterator[Callable[[], object]]:
        yield lambda: list((out / "images").rglob("*.parquet"))
        (day / "link_P1.png").symlink_to("a_P1.png")
        for name in ("one", "other"):  # a circle of two doubles the paths with each step
            (day.parent / name).symlink_to(".")
        yield lambda: "3 symbolic links are not followed" in caplog.text
        drops.write(tmp_path / "drop", {f"{DAY}/b_P1.png": drops.picture(2)})
        yield lambda: len(list((out / "images").rglob("*.parquet"))) > 1

    serve(spark, tmp_path, script())
    assert drops.rows(spark, out, "images", "board_id") == [("a",), ("b",)]


@pytest.mark.slow
def test_a_service_pauses_for_compact_and_goes_on(
    spark: SparkSession, tmp_path: Path, passes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "RENEW_SECONDS", 0.2)
    out = tmp_path / "out"
    drops.write(tmp_path / "drop", {f"{DAY}/a_P1.png": drops.picture(1)})
    paused: list[tuple[bool, int]] = []

    def compact() -> None:
        job = drops.job(spark, tmp_path / "drop", out)
        with leases.held(
            spark, str(out), claim=JOBS["compact"].claim, job="compact", run_id="upkeep"
        ) as lease:
            service = (out / neighbours.FOLDER / f"{drops.RUN_ID}.json").read_bytes()
            holder = holders.from_bytes(service)
            before = len(passes)
            run_compact(Job(spark=spark, config=job.config, run_id="upkeep", lease=lease))
            paused.append((holder is not None and holder.paused, len(passes) - before))

    def script() -> Iterator[Callable[[], object]]:
        yield lambda: list((out / "runs").glob("*.parquet"))
        compact()
        drops.write(tmp_path / "drop", {f"{DAY}/b_P1.png": drops.picture(2)})
        yield lambda: len(list((out / "files").glob("*.parquet"))) > 1

    serve(spark, tmp_path, script())
    assert paused == [(True, 0)]
    assert drops.rows(spark, out, "images", "board_id") == [("a",), ("b",)]
