from __future__ import annotations

import pytest

from pcb_spark.core.errors import InputError
from pcb_spark.ingest import readability
from pcb_spark.ingest.readability import Readability


def verdicts(rows: int, **reasons: int) -> Readability:
    return Readability(kind="verdict", rows=rows, reasons=reasons)


@pytest.mark.parametrize(
    ("found", "is_mostly_unread"),
    [
        (verdicts(0), False),
        (verdicts(4, verdict_unknown=2), False),
        (verdicts(4, verdict_unknown=2, verified_at_unreadable=1), True),
        # Of 10 rows 8 name no image that is there: of the two that are left both can't be read.
        (verdicts(10, verdict_without_image=8, verdict_unknown=2), True),
        (verdicts(10, verdict_superseded=9), False),
        (verdicts(10, verdict_without_image=10), False),
        (verdicts(3, message_without_verdict=3), False),
        # They were read, and contradict each other.
        (verdicts(2, verdict_conflict=2), False),
    ],
)
def test_more_than_half(found: Readability, is_mostly_unread: bool) -> None:
    assert found.is_mostly_unread == is_mostly_unread


def test_the_error_names_the_most_frequent_reason_and_preview() -> None:
    found = [verdicts(9, verdict_unknown=5, verified_at_unreadable=2, verdict_superseded=1)]

    with pytest.raises(InputError) as caught:
        readability.refuse(found, "file:/drop")

    assert caught.value.what == (
        "most of the drop file:/drop can't be read: 7 of 8 verdict rows can't be read, "
        "most of them for verdict_unknown"
    )
    assert caught.value.got == "verdict: 5 verdict_unknown, 2 verified_at_unreadable"
    assert "pcb-spark preview" in str(caught.value.hint)
    assert caught.value.remedy == "repair"


def test_what_is_mostly_read_passes() -> None:
    readability.refuse([verdicts(3, verdict_unknown=1), Readability(kind="image", rows=5)], "drop")


def test_rare_reasons_are_counted_together() -> None:
    reasons = {"a": 9, "b": 9, "c": 3, "d": 2, "e": 1, "f": 1}

    assert readability.counted(reasons) == "9 a, 9 b, 3 c, 2 d, 2 for other reasons"
