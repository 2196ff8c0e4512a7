"""Nights that are watched, on a copy of the whole run's tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.core import bundle
from pcb_spark.monitor.reference import Reference
from pcb_spark.pipeline import approval, clearing, vigilance
from pcb_spark.review import database
from tests import registries, reviews
from tests.pipeline.nights import BY_ME, SECOND, THIRD, night
from tests.pipeline.test_nightly import plant, rows

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

__all__ = ["plant"]
pytestmark = pytest.mark.slow


def with_monitor(job: Job, **settings: Any) -> Job:
    monitor = job.config.monitor.model_copy(update=settings)
    config = job.config.model_copy(update={"monitor": monitor})
    return dataclasses.replace(job, config=config, alarms=[])


def trained_in_brighter_days(job: Job, folder: Path, line: str, **changes: Any) -> None:
    """Promote a version whose reference says that a line used to be far brighter.

    ``changes`` are of its manifest.
    """
    own = bundle.read(Path(job.config.paths.out) / "bundle")
    raw = json.loads(own.parts[bundle.TRAINING_DAYS])
    days = raw["cells"][line]["brightness"]["days"]
    days["mean"] += 400 * max(days["sd"], 1.0)
    parts = {**own.parts, bundle.TRAINING_DAYS: json.dumps(raw).encode()}
    about = dataclasses.asdict(own.manifest)
    about |= {"model_version": "2026-01-16-of-brighter-days"} | changes
    about["threshold"] = {**about["threshold"], "value": 1.0, "by_segment": {}}
    bundle.write(folder / "bundle", about, parts)
    opened = registries.opened(Path(job.config.paths.out))
    opened.register(dataclasses.replace(registries.entry(folder / "x"), folder=folder))
    approval.promote(job, opened, opened.require("2"), BY_ME)


def found(job: Job) -> list[dict[str, Any]]:
    return [row.asDict() for row in job.spark.read.parquet(job.table("monitor")).collect()]


def test_training_leaves_a_record_of_its_days_in_the_bundle(plant: Job) -> None:
    own = bundle.read(Path(plant.config.paths.out) / "bundle")
    known = Reference.from_json(own.parts[bundle.TRAINING_DAYS].decode())

    assert {*known.numbers} >= {"probability", "brightness", "sharpness"}
    assert len(known.features) == 8
    assert set(known.cells) == set(known.volumes) == {"L1", "L2"}
    assert set(known.known) == {"line", "part_number", "defects"}
    assert known.known["defects"]
    assert own.manifest.known["line"] == ["L1", "L2"]


def with_store(job: Job, folder: Path) -> Job:
    """A review page at which a shift of two people passed nine of ten known defects as good."""
    url = f"sqlite:///{folder}/verdicts.db"
    engine = database.open_store(url)
    reviews.answered(engine, "2026-01-15T09", caught=1, missed=9, people=("op-anna", "op-ben"))
    engine.dispose()
    ingest = job.config.ingest.model_copy(update={"verdict_store": url})
    config = job.config.model_copy(update={"ingest": ingest})
    return dataclasses.replace(job, config=config)


def test_nights_are_held_against_the_training_days(plant: Job, tmp_path: Path) -> None:
    job = night(with_store(with_monitor(plant, on_alarm="all"), tmp_path), 16)

    rows_of = found(job)
    assert {row["capture_date"].day for row in rows_of} == {14, 15}
    assert {row["number"] for row in rows_of} >= {"brightness", "probability", "images"}
    assert all(row["run_id"] == job.run_id for row in rows_of)
    # Who waves defects through is told of; sending them more to look at would help nobody.
    assert job.alarms == [
        "alarm of 2026-01-15: shift 2026-01-15 early: 90% of the known defects passed as good "
        "where 10% may be, n = 10"
    ]
    assert clearing.stopped(job) == frozenset()
    assert vigilance.unseen(job) == []


def test_an_alarm_stops_its_line_in_this_very_night_and_once(plant: Job, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    trained_in_brighter_days(plant, tmp_path / "two", "L2")
    watched = with_monitor(
        plant, on_alarm="line", tries=1,
        command=("sh", "-c", f"cat >> {told}"),
    )  # fmt: skip

    job = night(watched, 15)

    (alarm,) = [row for row in found(job) if row["level"] == "alarm" and row["statistic"] == "mean"]
    assert (alarm["scope_kind"], alarm["scope_value"]) == ("line", "L2")
    assert any("alarm of 2026-01-14: line L2: mean brightness" in said for said in job.alarms)
    assert clearing.stopped(job) == {"L2"}
    cleared = {row["line"] for row in rows(job, "scores").values() if row["decision"] == "pass"}
    assert cleared == {"L1"}
    message = json.loads(told.read_text())
    assert (message["run_id"], message["alarms"]) == (job.run_id, job.alarms)
    metrics = job.spark.read.parquet(job.table("metrics"))
    (row,) = metrics.where("metric = 'alarm_brightness_mean'").collect()
    assert (row.scope_kind, row.scope_value, row.run_id) == ("line", "L2", job.run_id)

    # It lasts: somebody resumes, and the next nights neither stop again nor tell anybody.
    signed = clearing.Signed(who="me", why="lamp changed")
    clearing.run_resume_clearing(job, line="L2", signed=signed)
    later = night(with_monitor(watched), 17)
    assert any("2026-01-16" in said for said in later.alarms)
    assert clearing.stopped(later) == frozenset()
    assert json.loads(told.read_text()) == message
    assert {SECOND, THIRD} <= {row["capture_date"] for row in found(later)}


def test_what_training_has_never_seen_says_nothing_of_its_line(plant: Job, tmp_path: Path) -> None:
    trained_in_brighter_days(plant, tmp_path / "two", "L2", known={"line": ["L1"]})

    job = night(with_monitor(plant), 15)

    looked = [row for row in found(job) if row["number"] == "brightness"]
    assert {row["line"] for row in looked} == {"L1"}
    assert job.alarms == []


def test_a_model_without_a_record_scores_and_says_that_it_isnt_watched(
    plant: Job, tmp_path: Path
) -> None:
    own = bundle.read(Path(plant.config.paths.out) / "bundle")
    parts = {name: part for name, part in own.parts.items() if name != bundle.TRAINING_DAYS}
    bundle.write(tmp_path / "two" / "bundle", dataclasses.asdict(own.manifest), parts)
    opened = registries.opened(Path(plant.config.paths.out))
    entry = registries.entry(tmp_path / "x")
    opened.register(dataclasses.replace(entry, folder=tmp_path / "two"))
    approval.promote(plant, opened, opened.require("2"), BY_ME)

    job = night(plant, 15)

    assert "not watched: the model has no training reference; train again to have it" in job.notes
    assert not (Path(plant.config.paths.out) / "monitor").exists()
