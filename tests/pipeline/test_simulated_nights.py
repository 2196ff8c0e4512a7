"""Three nights of ``make simulate``, by the model of the whole run, and one of them missed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import simulate, simulated_days
from faults.simulated_days import Plan, day_of
from faults.simulated_findings import Story, found
from faults.simulated_nights import Nights
from tests.pipeline.test_nightly import plant
from tests.pipeline.whole_run import SETTINGS

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

__all__ = ["plant"]
pytestmark = pytest.mark.slow

#: The whole run was trained on days 0 to 9.
PLAN = Plan(training=10, days=13, boards=1, changes=12, dark=range(0), missed=range(11, 12))


def test_nights_decide_each_date_once_and_operators_answer_what_they_were_shown(
    plant: Job, tmp_path: Path
) -> None:
    nights = Nights(spark=plant.spark, folder=tmp_path, plan=PLAN, settings=SETTINGS)
    simulated_days.render(nights.rendered, PLAN, range(10, 13), processes=1)
    story = Story(better=None, worse=None, by_command=None)
    done = {"plan": [repr(PLAN), repr(story)], "train": []}
    (tmp_path / "steps.json").write_text(json.dumps(done))

    said = simulate.run(nights, story)

    assert [name for name in said if name.startswith("night")] == [
        "night 2026-01-19", "night 2026-01-21",
    ]  # fmt: skip
    assert f"scored 40 images of {day_of(11)} to {day_of(12)}" in "".join(
        said[f"night {day_of(12)}"]
    )
    outcome = found(nights)
    assert outcome.days["images"].to_dict() == {day_of(n): 20 for n in (10, 11, 12)}
    assert (outcome.doubled, outcome.missing) == (0, [])
    for number, shown in ((10, [10]), (12, [11, 12])):
        path = nights.drop / "verdicts" / f"{day_of(number + 1)}-operators.csv"
        with path.open(newline="", encoding="utf-8") as file:
            answered = len(list(csv.DictReader(file)))
        assert answered == outcome.days.loc[[day_of(each) for each in shown], "shown"].sum()
