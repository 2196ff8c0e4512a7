"""Counts of a night against those of the training days, and what training has never seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from scipy import stats

from pcb_spark.core import names
from pcb_spark.lake import scopes
from pcb_spark.monitor import findings, reference
from pcb_spark.monitor.findings import Finding

if TYPE_CHECKING:
    from pcb_spark.learning.near_slips import NearSlips
    from pcb_spark.monitor import spread
    from pcb_spark.monitor.findings import Night, Seen
    from pcb_spark.monitor.reference import Reference
    from pcb_spark.review.vigilance import Vigilance


def tests(night: Night, known: Reference) -> Iterator[Finding]:
    """Volumes, shares, the lag of verdicts, near slips, and known defects that were missed."""
    counts = {row[names.LINE] or "": row for row in night.counts.to_dict("records")}
    for line, volume in known.volumes.items():
        images = int(counts[line]["count"]) if line in counts else 0
        yield _volume(line, images, volume)
        if line in known.unscorable and images:
            failed = int(counts[line]["unscorable"])
            yield _share(line or None, "unscorable", failed, images, known.unscorable[line])
    total = int(night.counts["count"].sum()) + night.unreadable
    if known.unreadable is not None and total:
        yield _share(None, "unreadable", night.unreadable, total, known.unreadable)
    if known.lag is not None and night.lag_hours is not None:
        yield _lag(night.lag_hours, known.lag)
    if night.near is not None and night.near.found.n and night.near.expected > 0:
        yield _near(night.near)
    for shift in night.vigilance:
        yield _missed(shift, night.may_miss)


def _volume(line: str, images: int, volume: spread.Spread) -> Finding:
    usual = math.exp(volume.mean)
    return Finding(
        family="counts", scope=scopes.Scope(names.LINE, line) if line else scopes.OVERALL,
        line=line or None, number="images", statistic=findings.COUNT, value=images, expected=usual,
        effect=images / usual, p_value=volume.p_either(float(reference.log_count(images))),
        n=images,
    )  # fmt: skip


def _share(
    line: str | None, number: str, events: int, images: int, known: spread.Counts
) -> Finding:
    usual = known.events / known.images
    return Finding(
        family="counts", scope=scopes.Scope(names.LINE, line) if line else scopes.OVERALL,
        line=line, number=number, statistic=findings.SHARE, value=events / images, expected=usual,
        effect=events / images - usual, p_value=known.p_above(events, images), n=images,
    )  # fmt: skip


def _lag(hours: float, known: spread.Spread) -> Finding:
    usual = math.exp(known.mean)
    return Finding(
        family="counts", scope=scopes.OVERALL, line=None, number="verdict_lag_hours",
        statistic=findings.MEAN, value=hours, expected=usual, effect=hours / usual,
        p_value=known.p_either(math.log(max(hours, 1e-3))), n=1,
    )  # fmt: skip


def _near(near: NearSlips) -> Finding:
    n, value = near.found.n, near.found.value or 0.0
    hits = round(value * n)
    return Finding(
        family="counts", scope=scopes.OVERALL, line=None, number="near_slips",
        statistic=findings.SHARE,
        value=value, expected=near.expected, effect=value - near.expected,
        p_value=float(stats.binom.sf(hits - 1, n, near.expected)), n=n,
    )  # fmt: skip


def _missed(shift: Vigilance, may: float) -> Finding:
    missed = shift.shown - shift.caught
    return Finding(
        family="counts", scope=scopes.Scope(scopes.SHIFT, shift.shift), line=None,
        number=findings.MISSED, statistic=findings.SHARE, value=missed / shift.shown, expected=may,
        effect=missed / shift.shown - may, n=shift.shown,
        p_value=float(stats.binom.sf(missed - 1, shift.shown, may)),
    )  # fmt: skip


def news(seen: Seen, known: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Values that training has never seen: warnings, since no chance is asked for.

    A column that was empty in training tells nothing.
    """
    return [
        Finding(
            family=findings.NEW, scope=scopes.Scope(column, value), line=line, number=column,
            statistic=findings.NEW, value=float(n), expected=0.0, effect=float(n), p_value=0.0, n=n,
            level=findings.WARN,
        )
        for column, values in seen.items()
        if known.get(column)
        for value, line, n in values
        if value not in known[column]
    ]  # fmt: skip
