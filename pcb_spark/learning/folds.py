"""Forward-in-time folds: an expanding training window, and the period right after it to test on.

A group (a board, or a lot) is never split between training and test: it has one date, that of its
LAST image. A training group's last image is older than the test period's first day, so nothing
that a fold trains on was seen after its test period began.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate, pairwise

from pcb_spark.core.errors import ConfigError, TrainingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One split: train on groups dated before ``train_before``, test on the period.

    Attributes
    ----------
    index : 1-based, in the order of time.
    train_before : exclusive end of the training window; the gap is already taken off.
    test_from, test_until : first and last group date of the test period, both inclusive.
    """

    index: int
    train_before: date
    test_from: date
    test_until: date


def plan_folds(
    group_dates: Iterable[date],
    *,
    n_folds: int = 4,
    first_fraction: float = 0.4,
    gap_days: int = 0,
) -> tuple[Fold, ...]:
    """Split the distinct group dates into a first training window and ``n_folds`` test periods.

    40 dates, 4 folds and 0.4 make 16 training dates and periods of 6, 6, 6 and 6. Where the dates
    are too few for both, the first window gives way, down to one date.

    Parameters
    ----------
    group_dates : the date of each group's last image, in any order, repeats allowed.
    n_folds : number of test periods, at least 1.
    first_fraction : share of the dates in the first training window, between 0 and 1, exclusive.
    gap_days : days left out between training and test, at least 0.

    Raises
    ------
    ConfigError
        An option is out of its range.
    TrainingError
        Fewer than ``n_folds + 1`` dates, or a gap that leaves the first fold nothing to train on.
    """
    _check_options(n_folds, first_fraction, gap_days)
    days = sorted(set(group_dates))
    if len(days) <= n_folds:
        raise TrainingError(
            f"too few capture dates for {n_folds} folds forward in time",
            expected=f"at least {n_folds + 1} distinct dates (of each group's last image)",
            got=f"{len(days)} distinct dates",
            hint="collect more days, lower folds.n, or group by board instead of lot",
        )
    first = max(1, min(round(first_fraction * len(days)), len(days) - n_folds))
    bounds = list(accumulate(_even_sizes(len(days) - first, n_folds), initial=first))
    folds = tuple(
        Fold(
            index=index,
            train_before=days[start] - timedelta(days=gap_days),
            test_from=days[start],
            test_until=days[end - 1],
        )
        for index, (start, end) in enumerate(pairwise(bounds), start=1)
    )
    _check_gap(days[0], folds[0], gap_days)
    return folds


def _even_sizes(total: int, parts: int) -> list[int]:
    """Sizes of ``parts`` consecutive periods that differ by one at most, the longer ones first."""
    size, longer = divmod(total, parts)
    return [size + (part < longer) for part in range(parts)]


def _check_options(n_folds: int, first_fraction: float, gap_days: int) -> None:
    """Raise ConfigError for an option out of its range."""
    ranges = (
        ("folds.n", n_folds, n_folds >= 1, "at least 1"),
        ("folds.first_fraction", first_fraction, 0 < first_fraction < 1, "between 0 and 1"),
        ("folds.gap_days", gap_days, gap_days >= 0, "at least 0"),
    )
    for key, got, valid, expected in ranges:
        if not valid:
            raise ConfigError(f"{key} is out of range", expected=expected, got=got)


def _check_gap(first_day: date, fold: Fold, gap_days: int) -> None:
    """Raise TrainingError where the gap swallows the first training window."""
    if fold.train_before <= first_day:
        raise TrainingError(
            f"a gap of {gap_days} days leaves fold 1 nothing to train on",
            expected=f"a group dated before {fold.train_before}",
            got=f"first group date {first_day}, first test date {fold.test_from}",
            hint="lower folds.gap_days or raise folds.first_fraction",
        )
