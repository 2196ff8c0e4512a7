from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.core import verifications
from pcb_spark.core.errors import InputError
from pcb_spark.review import items, queue, tables, verdicts
from tests import reviews
from tests.reviews import ANNA, BEN

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def given(store: Engine, page: queue.Page, want: int, **more: object) -> list[str]:
    told = {"held": [], "seconds": 60.0, **more}
    granted, _ = queue.grant(store, page, want=want, **told)  # type: ignore[arg-type]
    return [each.item_id for each in granted]


def test_boards_come_by_their_first_image_and_in_them_the_least_certain_first(
    store: Engine,
) -> None:
    early = "2026-01-05T07:00:00.000000+00:00"
    late = "2026-01-05T09:00:00.000000+00:00"
    found = [
        reviews.item("a", "B1", certainty=0.9, captured_at=late),
        reviews.item("b", "B2", certainty=0.1, captured_at=late),
        reviews.item("c", "B2", certainty=0.4, captured_at=early),
        reviews.item("d", "B1", certainty=0.2, captured_at=late),
    ]

    assert queue.load(store, found) == 4
    assert given(store, ANNA, 10) == ["b", "c", "d", "a"]


def test_an_item_that_is_there_is_not_loaded_again(store: Engine) -> None:
    queue.load(store, [reviews.item("a")])

    assert queue.load(store, [reviews.item("a"), reviews.item("b")]) == 1


def test_what_one_page_has_no_other_gets_until_it_is_given_back(store: Engine) -> None:
    queue.load(store, [reviews.item("a"), reviews.item("b")])

    assert given(store, ANNA, 1) == ["a"]
    assert given(store, BEN, 10) == ["b"]
    queue.release(store, ANNA)
    assert given(store, BEN, 10, held=["b"]) == ["a"]


def test_a_page_that_has_gone_silent_loses_its_items(store: Engine) -> None:
    queue.load(store, [reviews.item("a")])
    given(store, ANNA, 1, seconds=-1.0)

    assert given(store, BEN, 1) == ["a"]
    _, held = queue.grant(store, ANNA, held=["a"], want=1, seconds=60)
    assert held == []


def test_a_page_whose_answer_was_lost_gets_the_same_items(store: Engine) -> None:
    queue.load(store, [reviews.item("a"), reviews.item("b")])

    assert given(store, ANNA, 1) == ["a"]
    assert given(store, ANNA, 1) == ["a"]


def test_nothing_a_page_is_told_says_why_an_item_is_in_the_queue(store: Engine) -> None:
    queue.load(store, [reviews.item("a", review="control", decision="pass")])
    (granted,), _ = queue.grant(store, ANNA, held=[], want=1, seconds=60)

    assert set(queue.Granted.__dataclass_fields__) & {"review", "decision", "certainty"} == set()
    assert "control" not in str(granted)


def test_many_pages_at_once_share_the_queue_without_a_double(store: Engine) -> None:
    queue.load(store, [reviews.item(f"i{n:03}", f"B{n % 7}") for n in range(60)])
    decided: list[str] = []

    def work(name: str) -> None:
        page = queue.Page(page=f"page-{name}", operator_id=name)
        while items_ := given(store, page, 3):
            for item_id in items_:
                verdicts.enter(store, page, reviews.entry(item_id, verifications.REJECTED))
                decided.append(item_id)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("anna", "ben", "carl")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(decided) == [f"i{n:03}" for n in range(60)]
    assert queue.left(store) == 0


def test_pictures_of_an_item_are_found(store: Engine) -> None:
    queue.load(store, [reviews.item("a")])

    assert queue.pictures(store, "a") == reviews.pictures()
    assert queue.pictures(store, "z") is None


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = [reviews.item("a", position=None), reviews.item("ü", known_defect=True)]
    reviews.folder(tmp_path, found)
    (tmp_path / "being-written").mkdir()

    assert [items.read(each) for each in items.folders(tmp_path)] == [found]


def test_a_list_that_is_none_is_told(tmp_path: Path) -> None:
    reviews.folder(tmp_path, [])
    (tmp_path / "run" / items.LIST).write_text('{"item_id": 1}\n')

    with pytest.raises(InputError, match="isn't a list of images to review"):
        items.read(tmp_path / "run")


def test_an_image_whose_file_was_replaced_is_another_item() -> None:
    assert items.item_id("image", "aa") != items.item_id("image", "ab")
    assert items.item_id("image", "aa") == items.item_id("image", "aa")


def test_times_sort_as_text() -> None:
    assert tables.in_seconds(-1) < tables.now() < tables.in_seconds(1)
