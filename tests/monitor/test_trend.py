from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.monitor import trend

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
_COLUMNS = (
    "image_id string, capture_date date, captured_at timestamp, part_number string, "
    "position string, line string, decision string, review string, review_probability double, "
    "in_training_window boolean"
)


def flag(name: str, day: date, hour: int, *decided: Any, part: str = "R0402") -> tuple[Any, ...]:
    """``decided`` is decision, review and its probability."""
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return (name, day, moment, part, "R9", "L1", *decided, False)


FAILED, CLEARED, AUDITED = ("fail", "decision", 1.0), ("pass", None, 0.1), ("pass", "audit", 0.1)


@pytest.fixture
def flags(spark: SparkSession) -> DataFrame:
    rows = [
        flag("a", MONDAY, 5, *FAILED),
        flag("b", MONDAY, 5, *FAILED, part="C0201"),
        flag("c", MONDAY, 14, *AUDITED),
        flag("d", MONDAY, 14, *CLEARED),
        flag("e", TUESDAY, 21, *CLEARED),
        (*flag("f", TUESDAY, 21, *FAILED)[:-1], True),
    ]
    scores = spark.createDataFrame(rows, _COLUMNS)
    verdicts = spark.createDataFrame(
        [("a", "pass", None), ("b", "fail", "open|short"), ("c", "fail", "open"), ("d", None, None),
         ("f", "fail", "open")],
        "image_id string, verdict string, defects string",
    )  # fmt: skip
    return trend.outcomes(scores, verdicts, "Europe/Berlin")


def test_a_slip_that_an_audit_found_stands_for_those_that_nobody_saw(flags: DataFrame) -> None:
    """Of a million flags like these 12: one false call, eleven defects, ten of which slipped."""
    monday, tuesday = trend.by_night(flags).to_dict("records")

    assert (monday["capture_date"], monday["images"], monday["verified"]) == (MONDAY, 4, 3)
    assert monday["false_calls_ppm"] == pytest.approx(1e6 / 12)
    assert monday["defects_ppm"] == pytest.approx(11e6 / 12)
    assert monday["slips_ppm"] == pytest.approx(10e6 / 12)
    # The image that the model was trained on is none of them.
    assert (tuesday["images"], tuesday["verified"]) == (1, 0)
    assert math.isnan(tuesday["slips_ppm"])


def test_what_has_most_defects_comes_first(flags: DataFrame) -> None:
    parts = trend.pareto(flags, "part_number").to_dict("records")
    kinds = trend.pareto(flags, "kind").to_dict("records")

    assert [row["part_number"] for row in parts] == ["R0402", "C0201"]
    assert [row["share"] for row in parts] == pytest.approx([10 / 11, 1 / 11])
    assert [(row["kind"], row["defects"]) for row in kinds] == [("open", 11.0), ("short", 1.0)]
    assert len(trend.pareto(flags, "part_number", most=1)) == 1


def test_shifts_are_those_of_the_plants_clock(flags: DataFrame) -> None:
    """In Berlin it is 6, 15 and 22 o'clock."""
    shifts = {
        row["shift"]: row["images"] for row in trend.pareto(flags, "shift").to_dict("records")
    }

    assert shifts == {"early": 2, "late": 2, "night": 1}
