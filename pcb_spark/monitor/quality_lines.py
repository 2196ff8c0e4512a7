"""What ``describe`` found, as the lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from pcb_spark.lake import schemas
from pcb_spark.lake.scopes import COLUMN, DAY, FIRST_DAY, OVERALL, Scope
from pcb_spark.monitor import golden_positions


class Figure(Protocol):
    """A row of ``metrics``, as much of it as is read here."""

    def __getitem__(self, name: str) -> object: ...


#: A line that uses less of the grey levels hasn't the scale of its camera, or hardly any light.
_LITTLE_RANGE = 0.25

#: Positions in one line.
_MOST_LISTED = 5

Figures = Mapping[tuple[Scope, str], tuple[float, int]]


def lines(rows: Iterable[Figure]) -> list[str]:
    """Return nothing where ``rows`` hold no figures of ``describe``."""
    found: dict[tuple[Scope, str], tuple[float, int]] = {}
    for row in rows:
        if isinstance(row["value"], float):
            found[_scope(row), str(row["metric"])] = (row["value"], int(str(row["n"])))
    if (OVERALL, "duplicates") not in found:
        return []
    days = [value for (scope, metric), (value, _) in found.items() if _is_day(scope, metric)]
    return [
        f"images {_of(found, 'images'):.0f} on {_of(found, 'boards'):.0f} boards, "
        f"{len(days)} days of {min(days):.0f} to {max(days):.0f}",
        f"same bytes again {_of(found, 'duplicates'):.0f}, undecodable "
        f"{_of(found, 'undecodable'):.0f}, without reference "
        f"{_of(found, 'reference_missing_share'):.1%}",
        _verdicts(found),
        *(_camera(found, scope) for scope in _scopes(found, "blurred")),
        *_dark(found),
        *sorted(f"{scope}: {metric}" for scope, metric in found if scope.kind == COLUMN),
        *_new(found),
        *(_border(found, scope) for scope in _scopes(found, "near_in_training")),
        *_goldens(found),
    ]


def _scope(row: Figure) -> Scope:
    value = row[schemas.SCOPE_VALUE]
    return Scope(str(row[schemas.SCOPE_KIND]), None if value is None else str(value))


def _is_day(scope: Scope, metric: str) -> bool:
    return scope.kind == DAY and metric == "images"


def _of(found: Figures, metric: str, scope: Scope = OVERALL) -> float:
    return found[scope, metric][0]


def _scopes(found: Figures, metric: str) -> list[Scope]:
    return sorted(scope for scope, name in found if name == metric)


def _verdicts(found: Figures) -> str:
    text = f"verified {_of(found, 'verified_share'):.1%}"
    if (OVERALL, "fail_share") in found:
        text += f", fail {_of(found, 'fail_share'):.1%} of them"
    if (OVERALL, "verdict_lag_hours_median") in found:
        median, p95 = (_of(found, f"verdict_lag_hours_{name}") for name in ("median", "p95"))
        text += f", verdict after {median:.1f} h (median), {p95:.1f} h (95 %)"
    return text


def _camera(found: Figures, scope: Scope) -> str:
    return (
        f"{scope}: {_of(found, 'blurred', scope):.0f} blurred, "
        f"{_of(found, 'exposure_outliers', scope):.0f} too bright or dark, "
        f"of {found[scope, 'blurred'][1]}; median sharpness "
        f"{_of(found, 'sharpness_median', scope):.0f}, brightness "
        f"{_of(found, 'brightness_median', scope):.0f}, "
        f"{_of(found, 'clipped_share', scope):.1%} of pixels clipped"
    )


def _dark(found: Figures) -> list[str]:
    """Lines of which most grey levels stay empty."""
    return [
        f"{scope} uses {_of(found, 'range_used', scope):.0%} of the grey levels: set "
        "ingest.bit_depth where files of 16 bits hold fewer, else look at exposure"
        for scope in _scopes(found, "range_used")
        if _of(found, "range_used", scope) < _LITTLE_RANGE
    ]


def _new(found: Figures) -> list[str]:
    """What a day has that none had before, in the order of time."""
    firsts = sorted(
        (day, scope, n) for (scope, metric), (day, n) in found.items() if metric == FIRST_DAY
    )
    return [
        f"day={datetime.strptime(f'{day:.0f}', '%Y%m%d'):%Y-%m-%d}: first {scope}, {n} images"
        for day, scope, n in firsts
    ]


def _goldens(found: Figures) -> list[str]:
    """Positions without golden image, and those whose good images disagree."""
    if (OVERALL, golden_positions.WITH) not in found:
        return []
    has, lacks = (_of(found, name) for name in (golden_positions.WITH, golden_positions.WITHOUT))
    return [
        f"golden images: {has:.0f} positions have one, {lacks:.0f} have none",
        *_listed(found, golden_positions.WAITING, "no golden image yet, good images seen"),
        *_listed(found, golden_positions.VIEWS, "good images show several things, golden images"),
        *_listed(found, golden_positions.SPREAD, "good images differ, grey levels"),
    ]


def _listed(found: Figures, metric: str, what: str) -> list[str]:
    scopes = _scopes(found, metric)
    shown = [f"{scope.value}: {_of(found, metric, scope):.0f}" for scope in scopes[:_MOST_LISTED]]
    more = [f"and {len(scopes) - len(shown)} more"] if len(scopes) > len(shown) else []
    return [f"{what}: {', '.join([*shown, *more])}"] if shown else []


def _border(found: Figures, scope: Scope) -> str:
    near, n = found[scope, "near_in_training"]
    equal = _of(found, "equal_in_training", scope)
    return f"{scope}: {near:.0f} of {n} test images nearly as in training, {equal:.0f} the same"
