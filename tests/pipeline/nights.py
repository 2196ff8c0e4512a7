"""Nights on a copy of the whole run's tables."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.pipeline import approval, register
from pcb_spark.pipeline.approval import Decided
from pcb_spark.pipeline.nightly import Days, run_nightly
from tests import registries
from tests.leased import claimed

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

FIRST, SECOND, THIRD = (date(2026, 1, day) for day in (14, 15, 16))
BY_ME = Decided(action=approval.PROMOTE, who="me")


def prepare(copy: Job) -> Job:
    """Make it a plant whose first night is still to come, and whose champion is version 1."""
    out = Path(copy.config.paths.out)
    for name in ("scores", "reviews"):
        shutil.rmtree(out / name)
    registries.prepare(out)
    register.run_register(copy)
    opened = registries.opened(out)
    approval.promote(copy, opened, opened.require("1"), BY_ME)
    return copy


def night(
    plant: Job,
    day: int,
    days: Days | None = None,
    *,
    take_in: bool = False,
    since: date | None = FIRST,
) -> Job:
    """Run a night, early on a day of January; the job knows what it said."""
    scoring = plant.config.scoring.model_copy(update={"since": since})
    job = dataclasses.replace(
        plant,
        config=plant.config.model_copy(update={"scoring": scoring}),
        started_at=datetime(2026, 1, day, 3, tzinfo=UTC),
        run_id=f"202601{day:02d}T030000Z-night{1 if days is None else 2}",
        notes=[],
    )
    with claimed(job, "nightly") as own:
        held = dataclasses.replace(own, started_at=job.started_at)
        run_nightly(held, days=days or Days(), take_in=take_in)
    return held
