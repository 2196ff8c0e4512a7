"""What the monitor found, in sentences."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pcb_spark.core import names
from pcb_spark.monitor import findings

if TYPE_CHECKING:
    from pcb_spark.monitor.findings import Finding


def sentence(found: Finding, day: date) -> str:
    """Say what a warning or an alarm is of, with its effect and how many images it rests on."""
    where = "" if found.scope.value is None else f"{found.scope.kind} {found.scope.value}: "
    return f"{found.level} of {day}: {where}{_what(found)}, n = {found.n:,}"


def _what(found: Finding) -> str:
    number = found.number.replace("_", " ")
    if found.statistic == findings.NEW:
        return "never seen in training"
    if found.statistic == findings.COUNT:
        return f"{found.value:,.0f} images where {found.expected:,.0f} are usual"
    if found.number == findings.MISSED:
        share = f"{found.value:.0%} of the known defects passed as good"
        return f"{share} where {found.expected:.0%} may be"
    if found.statistic == findings.SHARE:
        return f"{found.value:.2%} {number} where {found.expected:.2%} are usual"
    if found.number == names.PROBABILITY:
        number = "scores"
    if found.statistic in (findings.KS, findings.PSI):
        what = f"{number} are distributed otherwise, {found.statistic.upper()} {found.value:.3g}"
        return f"{what} where {found.expected:.3g} is usual"
    if found.family == "counts":
        return f"{number} {found.value:.3g} where {found.expected:.3g} is usual"
    if found.statistic == findings.AGAINST:
        number += " less that of the other lines"
    return (
        f"mean {number} {found.value:.4g} where {found.expected:.4g} is usual "
        f"({found.effect:+.2g} standard deviations of single images)"
    )
