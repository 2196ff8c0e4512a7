from __future__ import annotations

import math

from pcb_spark.core.review import Shares
from pcb_spark.learning import audit_plan
from pcb_spark.learning.promise import Promise

PROMISE = Promise(max_slip_rate=0.02)


def test_a_threshold_takes_163_defects_of_control_boards() -> None:
    """5 of 100 defects a night lie on control boards."""
    found = audit_plan.plan(Shares(control=0.05, audit=0.02), PROMISE, defects=100)

    assert (found.needed, found.nights_to_promise) == (163, 33)
    (doubled, _), (five_times, _) = found.nights_to_notice
    assert 50 < doubled < 90
    assert five_times < 15


def test_without_control_boards_no_new_threshold_comes() -> None:
    found = audit_plan.plan(Shares(control=0, audit=0), PROMISE, defects=100)

    assert found.nights_to_promise == math.inf
    assert audit_plan.sentence(found, defects=100).endswith(
        "twice the promised slips are not noticed; "
        "a new threshold never gets the 163 verified defects it takes."
    )


def test_the_table_begins_with_what_is_set() -> None:
    promise, heading, below, first, *others = audit_plan.table(
        Shares(control=0.07, audit=0.03), PROMISE, defects=100
    )

    assert promise == "promise: at most 2 % of true defects slip; 100 true defects a night"
    assert heading.split()[:3] == ["control", "audit", "seen"]
    assert "163 control defects" in below
    assert first.split()[:2] == ["7.0%", "3.0%"]
    assert first.endswith("as set")
    assert len(others) == len(audit_plan.OTHERS) + 1
