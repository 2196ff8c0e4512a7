"""What control boards and audit can notice, and when: before anybody relies on it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pcb_spark.learning.next_defects import defects_needed
from pcb_spark.learning.slip_alarm import nights_to_notice

if TYPE_CHECKING:
    from pcb_spark.core.review import Shares
    from pcb_spark.learning.promise import Promise

#: Slip rates to be noticed, in multiples of the promised one.
NOTICED: Final = (2.0, 5.0)
#: Shares of control boards, and of the audit, that are told beside the set ones.
OTHERS: Final = ((0.02, 0.02), (0.05, 0.1), (0.1, 0.02), (0.1, 0.2), (0.2, 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one setting of the shares can notice.

    Attributes
    ----------
    shares : the setting.
    needed : verified defects of control boards that a threshold takes.
    nights_to_promise : until there are so many; infinity without control boards.
    nights_to_notice : for each of ``NOTICED``, until half of all cases have raised the alarm, and
        nine tenths; infinity beyond 4,000.
    """

    shares: Shares
    needed: int
    nights_to_promise: float
    nights_to_notice: tuple[tuple[float, float], ...]


def plan(shares: Shares, promise: Promise, *, defects: float) -> Plan:
    """Say what a setting can notice, at so many true defects a night."""
    needed = defects_needed(promise.next_defects)
    a_night = shares.control * defects
    return Plan(
        shares=shares,
        needed=needed,
        nights_to_promise=math.ceil(needed / a_night) if a_night else math.inf,
        nights_to_notice=tuple(
            nights_to_notice(
                shares, max_slip_rate=promise.max_slip_rate, multiple=multiple, defects=defects
            )
            for multiple in NOTICED
        ),
    )


def sentence(found: Plan, *, defects: float) -> str:
    """Say it in one sentence, e.g. for the report."""
    half, most = found.nights_to_notice[0]
    told = (
        f"With {100 * found.shares.control:.3g} % of the boards as control boards and an audit of "
        f"{100 * found.shares.audit:.3g} %, at {defects:,.0f} defects a night: "
    )
    if math.isfinite(half):
        told += f"twice the promised slips are noticed within {_nights(half)} in half of all cases"
        told += f", {_nights(most)} in nine of ten; " if math.isfinite(most) else "; "
    else:
        told += "twice the promised slips are not noticed; "
    if not math.isfinite(found.nights_to_promise):
        return f"{told}a new threshold never gets the {found.needed:,} verified defects it takes."
    return (
        f"{told}the {found.needed:,} verified defects of control boards that a new threshold takes "
        f"are there after {_nights(found.nights_to_promise)}."
    )


def table(shares: Shares, promise: Promise, *, defects: float) -> Iterator[str]:
    """Lay out the set shares and others, a line each."""
    yield (
        f"promise: at most {100 * promise.max_slip_rate:.3g} % of true defects slip; "
        f"{defects:,.0f} true defects a night"
    )
    yield (
        "control  audit   seen   nights until a new threshold   nights until an alarm, half | most"
    )
    needed = defects_needed(promise.next_defects)
    about = f"{needed:,} control defects"
    yield f"{'':23} {about:>29}   " + "   ".join(f"{m:g} x promised" for m in NOTICED)
    for each, mark in _settings(shares):
        found = plan(each, promise, defects=defects)
        noticed = "   ".join(
            f"{_count(half):>5} |{_count(most):>5}" for half, most in found.nights_to_notice
        )
        yield (
            f"{each.control:>7.1%} {each.audit:>6.1%} {each.seen:>6.1%} "
            f"{_count(found.nights_to_promise):>30}   {noticed}{mark}"
        )
    yield (
        "seen: how likely a cleared defect is to be seen by a draw that takes no notice of its "
        "score; more than it, of the cleared images, goes to operators"
    )


def _settings(shares: Shares) -> Sequence[tuple[Shares, str]]:
    others = [replace(shares, control=control, audit=audit) for control, audit in OTHERS]
    return [(shares, "   as set"), *((each, "") for each in others if each != shares)]


def _count(nights: float) -> str:
    return f"{nights:,.0f}" if math.isfinite(nights) else "never"


def _nights(nights: float) -> str:
    return f"{nights:,.0f} night{'s' if nights != 1 else ''}"
