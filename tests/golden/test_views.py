"""What becomes of a position's views as verified-good images come, day after day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import pytest

from pcb_spark.core import images as pictures
from pcb_spark.golden.views import Good, Made, Position, View
from tests import goldens

Told = tuple[Any, ...]


def good(day: int, name: str, *, product: int = 1) -> Good:
    """An image whose verdict is known from a day of January on."""
    found = goldens.shot(day, name, product=product)
    return Good(
        image_id=name,
        board_id=name.upper(),
        captured_at=found["captured_at"],
        known_from=date(2026, 1, day),
        pixels=pictures.decode(found["image"]),
    )


def days(position: Position, *images: Iterable[Good]) -> list[Made]:
    """What a position tells of images, some a day."""
    made = []
    for day in images:
        for each in day:
            made += list(position.add(each))
        made += list(position.close_day())
    return [*made, *position.close()]


def told(made: Iterable[Made]) -> list[Told]:
    """View, revision, day, images, whether there is a golden image, reason."""
    return [
        (
            each.view, each.revision, each.valid_from.day, " ".join(each.images),
            each.png is not None, each.reason,
        )
        for each in made
    ]  # fmt: skip


def test_one_is_made_once_there_are_enough() -> None:
    position = Position(goldens.RULE)
    made = days(position, [good(6, "a"), good(6, "b")], [good(7, "c")], [good(8, "d")])
    assert told(made) == [(1, 1, 7, "a b c", True, None), (1, 2, 8, "a b c d", True, None)]
    assert (made[0].boards, made[0].seen, made[0].taken) == (3, 3, ["a", "b", "c"])
    assert made[1].taken == ["d"]
    assert made[0].sha256 != made[1].sha256


def test_too_few_are_told_with_the_reason() -> None:
    made = days(Position(goldens.RULE), [good(6, "a"), good(6, "b")])
    assert told(made) == [(1, 1, 6, "a b", False, "too_few_images")]


def test_two_products_under_one_name_are_two_views() -> None:
    mixed = [good(6, name, product=1 + n % 2) for n, name in enumerate("abcdef")]
    assert told(days(Position(goldens.RULE), mixed)) == [
        (1, 1, 6, "a c e", True, None), (2, 1, 6, "b d f", True, None),
    ]  # fmt: skip


def test_the_most_recent_images_stay_and_half_of_them_have_to_be_new() -> None:
    images = [good(6 + n, name) for n, name in enumerate("abcdefghi")]
    made = days(Position(goldens.RULE), *([each] for each in images))
    assert [(row[3], row[4]) for row in told(made)] == [
        ("a b c", True), ("a b c d", True), ("a b c d e", True), ("d e f g h", True),
        ("e f g h i", False),
    ]  # fmt: skip
    assert made[-1].sha256 == made[-2].sha256


def test_what_a_night_knew_goes_on_the_next() -> None:
    images = [good(6 + n, name, product=1 + n % 2) for n, name in enumerate("abcdefghij")]
    whole = days(Position(goldens.RULE), *([each] for each in images))
    first = Position(goldens.RULE)
    parts = days(first, *([each] for each in images[:5]))
    second = Position(goldens.RULE, first.views, last=2)
    parts += days(second, *([each] for each in images[5:]))

    def goldens_of(made: list[Made]) -> list[tuple[int, str | None]]:
        return sorted((each.view, each.sha256) for each in made if each.png)

    assert goldens_of(parts) == goldens_of(whole)


def test_a_correction_takes_the_golden_image_back() -> None:
    position = Position(goldens.RULE)
    days(position, [good(6, name) for name in "abcd"])
    (view,) = position.views
    view.images = [each for each in view.images if each.image_id != "b"]
    view.forget()
    assert told(days(position, [])) == [(1, 2, 6, "a c d", True, None)]
    view.images = view.images[:2]
    view.forget()
    assert told(days(position, [])) == [(1, 3, 6, "a c", False, "too_few_images")]
    view.images = []
    view.forget()
    assert told(days(position, [])) == [(1, 4, 6, "", False, "too_few_images")]


def test_of_many_views_the_one_without_news_is_given_up() -> None:
    one_golden = [good(6, name) for name in "abc"]
    others = [[good(7 + n, f"x{n}", product=10 + n)] for n in range(9)]
    position = Position(goldens.RULE)
    made = days(position, one_golden, *others)
    gone = [row for row in told(made) if row[5] == "given_up"]
    assert [(row[0], row[3]) for row in gone] == [(2, "x0"), (3, "x1")]
    assert [view.number for view in position.views] == [1, 4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("wrong", [0, 2, 4])
def test_one_wrong_verdict_leaves_no_trace(wrong: int) -> None:
    images = [good(6, name) for name in "abcde"]
    stained = images[wrong].pixels.copy()
    stained[:, 40:160, 80:176] = 250
    images[wrong] = Good(
        image_id="wrong", board_id="W", captured_at=images[wrong].captured_at,
        known_from=images[wrong].known_from, pixels=stained,
    )  # fmt: skip
    position = Position(goldens.RULE.model_copy(update={"max_misfit": 0.9}))
    (made,) = days(position, images)
    assert made.png is not None
    found, truth = pictures.decode(made.png).astype(int), goldens.decoded(1).astype(int)
    assert np.abs(found - truth)[:, 50:150, 90:166].mean() < 12


def test_a_new_view_has_a_number_that_none_had() -> None:
    position = Position(goldens.RULE, [View(number=2, images=[good(5, "a")])], last=4)
    made = days(position, [good(6, "b", product=2)])
    assert [row[0] for row in told(made)] == [5]
