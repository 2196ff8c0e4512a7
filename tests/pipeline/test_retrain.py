"""Training again on a copy of the whole run's tables, beside a champion."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import bundle
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import approval
from pcb_spark.pipeline.retrain import run_retrain
from tests import registries
from tests.leased import claimed
from tests.pipeline.test_nightly import plant

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

__all__ = ["plant"]
pytestmark = pytest.mark.slow


def retrain(plant: Job, *, window_days: int = 0, if_alarmed: bool = False) -> Job:
    folds = plant.config.folds.model_copy(update={"window_days": window_days})
    job = dataclasses.replace(plant, config=plant.config.model_copy(update={"folds": folds}))
    with claimed(job, "retrain") as own:
        held = dataclasses.replace(own, notes=[])
        run_retrain(held, if_alarmed=if_alarmed)
    return held


def alarm(job: Job, model_version: str, number: str = "brightness") -> None:
    now = datetime(2026, 1, 17, tzinfo=UTC)
    row = (
        date(2026, 1, 16), model_version, "line", "L2", "L2", number, "mean", "means",
        1.0, 2.0, -1.0, 1e-9, 1e-9, 20, "alarm", "20260117T000000Z-night1", now,
    )  # fmt: skip
    tables.append_rows(job.spark, [row], job.table("monitor"), schemas.MONITOR)


def test_a_challenger_of_the_last_days_is_registered_and_compared_once_nights_alarm(
    plant: Job,
) -> None:
    opened = registries.opened(Path(plant.config.paths.out))
    champion = approval.history(plant, opened.model)[0].model_version
    alarm(plant, "2025-12-31-another-model")
    alarm(plant, champion, "known_defects_missed")  # of people, not of the model

    idle = retrain(plant, if_alarmed=True)

    assert idle.notes == ["not trained again: no night of the champion has raised an alarm"]
    assert [each.number for each in opened.versions()] == ["1"]

    alarm(plant, champion)
    job = retrain(plant, window_days=8, if_alarmed=True)

    window = bundle.read(Path(plant.config.paths.out) / "bundle").manifest.training_window
    assert (window["from"], window["until"]) == ("2026-01-07", "2026-01-16")
    assert {each.number: each.aliases for each in opened.versions()} == {
        "1": ("champion",), "2": ("challenger",),
    }  # fmt: skip
    assert any("registered as version 2" in note for note in job.notes)
    sides = [note.split("  ")[0] for note in job.notes if note.startswith(("version", "champion"))]
    assert sides == ["version 2", "champion 1"]
    assert approval.history(plant, opened.model)[-1].to_version == "1"
    with opened.files(opened.require("2")) as folder:
        kept = (folder / "report.html").read_text(encoding="utf-8")
    assert "Champion and challenger" in kept
    assert kept == (Path(plant.config.paths.out) / "report.html").read_text(encoding="utf-8")
