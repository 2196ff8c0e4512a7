"""Which golden image of an edge bundle counts; that Spark chooses the same is in tests/golden."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pcb_spark.core import bundle, goldens
from pcb_spark.core.golden_book import Found, GoldenBook, Goldens, Own, file_of, is_own
from tests.goldens import decoded

TRACE = {"line": "L1", "part_number": None, "position": "U1"}
DAY = date(2026, 1, 6)


def png(product: int) -> bytes:
    return goldens.encode(decoded(product))


def own(product: int, since: int = 5, until: int | None = None, **place: str) -> Own:
    return Own(
        sha256=bundle.sha256(png(product)),
        valid_from=date(2026, 1, since),
        valid_until=None if until is None else date(2026, 1, until),
        **({"line": "L1", "position": "U1"} | place),
    )


def book(*each: Own, by_line: bool = True) -> GoldenBook:
    files = {file_of(bundle.sha256(png(product))): png(product) for product in (1, 2, 3)}
    told = Goldens(own=each, by_line=by_line, most_misfit=0.6)
    return GoldenBook(Goldens.from_json(told.to_json()), files)


def test_of_several_the_one_that_looks_most_like_the_image() -> None:
    both = book(own(1), own(2))
    assert both.find(decoded(1, board=7), TRACE, DAY) == Found(own(1).sha256, png(1))
    assert both.find(decoded(2, board=7), TRACE, DAY) == Found(own(2).sha256, png(2))


def test_what_looks_like_none_has_none() -> None:
    assert book(own(1), own(2)).find(decoded(3), TRACE, DAY) is None


@pytest.mark.parametrize(("day", "product"), [(4, None), (5, 1), (6, 1), (7, 2), (30, 2)])
def test_each_is_good_until_the_next_one(day: int, product: int | None) -> None:
    """Product 2 stands for the later golden image: the window decides, not the looks."""
    found = book(own(1, 5, 7), own(2, 7)).find(decoded(product or 1), TRACE, date(2026, 1, day))
    assert (found and found.sha256) == (product and own(product).sha256)


@pytest.mark.parametrize(
    ("changes", "by_line", "there"),
    [
        ({}, True, True),
        ({"line": "L2"}, True, False),
        ({"line": "L2"}, False, True),
        ({"part_number": "R-0603"}, False, False),
        ({"position": None}, False, False),
    ],
)
def test_line_part_and_position_say_where_it_belongs(
    changes: dict[str, str | None], by_line: bool, there: bool
) -> None:
    each = own(1) if by_line else replace(own(1), line=None)
    found = book(each, by_line=by_line).find(decoded(1), TRACE | changes, DAY)
    assert (found is not None) is there


def test_an_image_of_which_no_place_is_known_has_none() -> None:
    nowhere = replace(own(1), line="L1", position=None)
    assert book(nowhere).find(decoded(1), {"line": "L1"}, DAY) is None


def test_a_reference_that_names_an_own_one_is_no_file_of_the_drop() -> None:
    assert is_own(f"goldens/{own(1).sha256}")
    assert not is_own("references/U1.png")
