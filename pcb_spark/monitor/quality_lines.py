"""What ``describe`` found, as the lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class Figure(Protocol):
    """A row of ``metrics``, as much of it as is read here."""

    def __getitem__(self, name: str) -> object: ...


Figures = Mapping[tuple[str, str], tuple[float, int]]


def lines(rows: Iterable[Figure]) -> list[str]:
    """Return nothing where ``rows`` hold no figures of ``describe``."""
    found: dict[tuple[str, str], tuple[float, int]] = {}
    for row in rows:
        if isinstance(row["value"], float):
            found[str(row["scope"]), str(row["metric"])] = (row["value"], int(str(row["n"])))
    if ("overall", "duplicates") not in found:
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
        *_new(found),
        *(_border(found, scope) for scope in _scopes(found, "near_in_training")),
    ]


def _is_day(scope: str, metric: str) -> bool:
    return scope.startswith("day=") and metric == "images"


def _of(found: Figures, metric: str, scope: str = "overall") -> float:
    return found[scope, metric][0]


def _scopes(found: Figures, metric: str) -> list[str]:
    return sorted(scope for scope, name in found if name == metric)


def _verdicts(found: Figures) -> str:
    text = f"verified {_of(found, 'verified_share'):.1%}"
    if ("overall", "fail_share") in found:
        text += f", fail {_of(found, 'fail_share'):.1%} of them"
    if ("overall", "verdict_lag_hours_median") in found:
        median, p95 = (_of(found, f"verdict_lag_hours_{name}") for name in ("median", "p95"))
        text += f", verdict after {median:.1f} h (median), {p95:.1f} h (95 %)"
    return text


def _camera(found: Figures, scope: str) -> str:
    return (
        f"{scope}: {_of(found, 'blurred', scope):.0f} blurred, "
        f"{_of(found, 'exposure_outliers', scope):.0f} too bright or dark, "
        f"of {found[scope, 'blurred'][1]}; median sharpness "
        f"{_of(found, 'sharpness_median', scope):.0f}, brightness "
        f"{_of(found, 'brightness_median', scope):.0f}, "
        f"{_of(found, 'clipped_share', scope):.1%} of pixels clipped"
    )


def _new(found: Figures) -> list[str]:
    """What a day or a column has that it shouldn't have, or not before."""
    return [
        f"{scope}: {metric}" + (f", {n} images" if scope.startswith("day=") else "")
        for (scope, metric), (_, n) in sorted(found.items())
        if metric.startswith("new_") or scope.startswith("column=")
    ]


def _border(found: Figures, scope: str) -> str:
    near, n = found[scope, "near_in_training"]
    equal = _of(found, "equal_in_training", scope)
    return f"{scope}: {near:.0f} of {n} test images nearly as in training, {equal:.0f} the same"
