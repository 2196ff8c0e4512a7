"""What the defects seen behind a model's gate say of the promise, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcb_spark.learning.slip_alarm import ALARM

if TYPE_CHECKING:
    from pcb_spark.learning.near_slips import NearSlips
    from pcb_spark.learning.slip_alarm import Alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """The test of the promise, and how many caught defects of the present model nearly slipped."""

    max_slip_rate: float
    alarm: Alarm
    near: NearSlips


def sentences(found: Noticed | None) -> Iterator[str]:
    """Say what was noticed, the alarm first."""
    if found is None:
        return
    alarm, near = found.alarm, found.near
    seen = (
        f"{alarm.audited_slips} of {alarm.defects:,} defects seen behind this model's gate were "
        "cleared"
    )
    if alarm.raised:
        yield (
            f"slip alarm: more defects slip than the {found.max_slip_rate:.1%} promised; {seen} "
            f"(e-value {alarm.highest:,.0f}, alarm at {ALARM:.0f}). Clear nothing by this model "
            "until it is trained anew and its promise holds"
        )
    else:
        yield f"{seen}; no alarm (e-value {alarm.e_value:.2g}, alarm at {ALARM:.0f})"
    if near.risen:
        yield (
            f"near slips: {near.found.value:.1%} of {near.found.n:,} caught defects scored just "
            f"above the threshold, where {near.expected:.1%} were expected: scores of defects are "
            "sinking"
        )
