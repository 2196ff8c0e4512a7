from __future__ import annotations

from datetime import date, timedelta

import pytest

from pcb_spark.core.errors import ConfigError, TrainingError
from pcb_spark.learning.folds import Fold, plan_folds


def days(*numbers: int) -> list[date]:
    return [date(2024, 3, 1) + timedelta(days=number) for number in numbers]


def test_forty_days_make_sixteen_and_four_times_six() -> None:
    plan = plan_folds(days(*range(40)))

    assert plan == (
        Fold(
            index=1,
            train_before=date(2024, 3, 17),
            test_from=date(2024, 3, 17),
            test_until=date(2024, 3, 22),
        ),
        Fold(
            index=2,
            train_before=date(2024, 3, 23),
            test_from=date(2024, 3, 23),
            test_until=date(2024, 3, 28),
        ),
        Fold(
            index=3,
            train_before=date(2024, 3, 29),
            test_from=date(2024, 3, 29),
            test_until=date(2024, 4, 3),
        ),
        Fold(
            index=4,
            train_before=date(2024, 4, 4),
            test_from=date(2024, 4, 4),
            test_until=date(2024, 4, 9),
        ),
    )


def test_repeats_and_order_of_dates_do_not_count_and_missing_days_are_jumped() -> None:
    # Six dates, 0.4 of which is 2.4: two to train on first, then two, one and one.
    plan = plan_folds(days(30, 0, 7, 7, 8, 20, 9, 0), n_folds=3)

    assert [(fold.test_from, fold.test_until) for fold in plan] == [
        (date(2024, 3, 9), date(2024, 3, 10)),
        (date(2024, 3, 21), date(2024, 3, 21)),
        (date(2024, 3, 31), date(2024, 3, 31)),
    ]


def test_the_gap_is_taken_off_the_training_window_in_calendar_days() -> None:
    # Two dates to train on first, then 3-4 March and 11 March.
    plan = plan_folds(days(0, 1, 2, 3, 10), n_folds=2, gap_days=1)

    assert [(fold.train_before, fold.test_from) for fold in plan] == [
        (date(2024, 3, 2), date(2024, 3, 3)),
        (date(2024, 3, 10), date(2024, 3, 11)),
    ]


def test_the_fewest_dates_train_on_one_and_test_on_one_each() -> None:
    plan = plan_folds(days(0, 1, 2, 3, 4), n_folds=4)

    assert [(fold.train_before, fold.test_from, fold.test_until) for fold in plan] == [
        (date(2024, 3, 2), date(2024, 3, 2), date(2024, 3, 2)),
        (date(2024, 3, 3), date(2024, 3, 3), date(2024, 3, 3)),
        (date(2024, 3, 4), date(2024, 3, 4), date(2024, 3, 4)),
        (date(2024, 3, 5), date(2024, 3, 5), date(2024, 3, 5)),
    ]


def test_a_tiny_first_fraction_still_leaves_one_date_to_train_on() -> None:
    plan = plan_folds(days(0, 1, 2), n_folds=1, first_fraction=0.01)

    assert [(fold.train_before, fold.test_until) for fold in plan] == [
        (date(2024, 3, 2), date(2024, 3, 3))
    ]


def test_too_few_dates_say_what_is_needed_and_what_to_do() -> None:
    with pytest.raises(TrainingError) as raised:
        plan_folds(days(0, 1, 2, 3, 3), n_folds=4)

    assert str(raised.value) == (
        "too few capture dates for 4 folds forward in time\n"
        "  expected: at least 5 distinct dates (of each group's last image)\n"
        "  got: 4 distinct dates\n"
        "  next: collect more days, lower folds.n, or group by board instead of lot"
    )


def test_no_dates_at_all_are_too_few() -> None:
    with pytest.raises(TrainingError, match="got: 0 distinct dates"):
        plan_folds([])


def test_a_gap_that_swallows_the_first_training_window_is_refused() -> None:
    with pytest.raises(TrainingError, match="gap of 2 days leaves fold 1 nothing"):
        plan_folds(days(0, 1, 2, 3, 10), n_folds=2, gap_days=2)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"n_folds": 0}, "folds.n "),
        ({"first_fraction": 0.0}, "folds.first_fraction"),
        ({"first_fraction": 1.0}, "folds.first_fraction"),
        ({"gap_days": -1}, "folds.gap_days"),
    ],
)
def test_options_out_of_range_name_their_key(options: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        plan_folds(days(0, 1, 2), **options)  # type: ignore[arg-type]
