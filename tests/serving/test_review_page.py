"""The review page in a real browser: a short shift, and what assistive programs make of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from faults import review_desk, review_shift, servers
from pcb_spark.review import database, queue, tables
from pcb_spark.serving import keys
from tests.serving import services

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

AXE = servers.HOME / "node_modules" / "axe-core" / "axe.min.js"
ASKING = "**/v1/review/items"
pytestmark = pytest.mark.skipif(
    review_desk.chromium_program() is None, reason="no Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with review_desk.browser() as found:
        yield found


@contextlib.contextmanager
def started(folder: Path, *flags: str, items: int = 20) -> Iterator[review_desk.Service]:
    review_desk.make_items(folder / "items", items)
    found = review_desk.Service(folder, *flags)
    try:
        found.start()
        yield found
    finally:
        found.kill()


@contextlib.contextmanager
def logged_in(service: review_desk.Service, chromium: Browser) -> Iterator[review_desk.Operator]:
    """An operator whose page is open."""
    anna = review_desk.Operator(chromium, service.url, "anna", service.token("anna", keys.OPERATOR))
    try:
        anna.log_in()
        yield anna
    finally:
        anna.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[review_desk.Service]:
    """A service at which nobody decides anything, and that shows all that may be asked for."""
    folder = tmp_path_factory.mktemp("review")
    settings = folder / "review.toml"
    settings.write_text('disagreements = true\n[groups]\nred = ["a", "b", "c", "d", "e"]\n')
    with started(folder, "--settings", str(settings)) as found:
        yield found


def test_two_operators_say_everything_once_though_the_service_is_killed(
    tmp_path: Path, chromium: Browser
) -> None:
    with started(tmp_path) as service, review_shift.at_work(service, chromium) as shift:
        shift.work(10)
        shift.wait_until_loaded()
        service.kill()
        shift.work(3)  # of what the pages have loaded ahead
        service.start()
        shift.work(7)
        for operator in shift.operators:
            operator.wait_until_stored()
    account = shift.account

    assert review_shift.differences(account, service.store) == []
    assert (len(account.pressed), account.undone > 0, account.second > 0) == (20, True, True)
    assert account.milliseconds  # how long they took is a matter of make review-shift


def test_what_was_taken_back_stays_though_an_earlier_answer_comes_late(
    tmp_path: Path, chromium: Browser
) -> None:
    with started(tmp_path) as service, logged_in(service, chromium) as anna:
        anna.wait_until_loaded()
        held_up = hold_up(anna.page)
        anna.press("p")  # and the page asks for more, while it has the second item
        asked = first_of(held_up, anna.page)
        second = anna.shown(wait=True)
        anna.press("p")
        anna.wait_until_stored()
        late = asked.fetch()  # which says that the page has given the second item up
        anna.press("z")
        asked.fulfill(response=late)
        anna.page.wait_for_selector("#waiting:text-is('18 waiting')")

        assert anna.shown(wait=False) == second
        anna.page.unroute(ASKING)
        anna.press("p")
        anna.wait_until_stored()
    assert queue.left(database.open_store(service.store)) == 18


def test_what_was_put_off_and_given_again_is_there_once_when_taken_back(
    tmp_path: Path, chromium: Browser
) -> None:
    with started(tmp_path, items=2) as service, logged_in(service, chromium) as anna:
        first = anna.shown(wait=True)
        anna.press("n")
        second = anna.shown(wait=True)
        anna.press("p")
        assert anna.shown(wait=True) == first
        anna.press("z")
        assert anna.shown(wait=True) == second
        anna.press("z")
        assert anna.shown(wait=True) == first
        for key in ("ArrowRight", "ArrowRight"):
            anna.page.keyboard.press(key)
        assert anna.shown(wait=True) == second  # the last one
        anna.press("p")
        assert anna.shown(wait=True) == first
        anna.press("p")
        anna.page.wait_for_selector("#state:text('Nothing is left')")
    assert queue.left(database.open_store(service.store)) == 0


def test_a_key_pressed_while_the_image_changes_by_itself_decides_nothing(
    tmp_path: Path, chromium: Browser
) -> None:
    with started(tmp_path) as service, logged_in(service, chromium) as anna:
        anna.wait_until_loaded()
        first = anna.shown(wait=True)
        assert first is not None
        engine = database.open_store(service.store)
        ben = {"lease_page": "of-ben", "lease_operator": "ben"}
        with engine.begin() as connection:
            mine = tables.QUEUE.c.item_id == first
            connection.execute(sa.update(tables.QUEUE).where(mine).values(**ben))
        held_up = hold_up(anna.page)
        anna.press("ArrowRight")
        anna.press("p")  # of the second, and the page asks what it still has
        asked = first_of(held_up, anna.page)
        anna.press("ArrowLeft")
        assert anna.shown(wait=False) == first
        asked.continue_()
        anna.page.wait_for_selector(f"body:not([data-item='{first}'])")
        third = anna.shown(wait=True)
        anna.page.keyboard.press("p")
        assert "Nothing is decided" in anna.page.inner_text("#state")
        assert anna.shown(wait=False) == third
        anna.page.unroute(ASKING)
        anna.press("p")
        anna.wait_until_stored()
    assert queue.left(engine) == 18


def test_looking_decides_nothing(service: review_desk.Service, chromium: Browser) -> None:
    with logged_in(service, chromium) as anna:
        first = anna.shown(wait=True)
        for key in ("h", "b", " ", "+", "-", "0", "3", "ArrowRight", "ArrowLeft"):
            anna.page.keyboard.press(key)
        anna.page.mouse.wheel(0, -100)

        assert anna.shown(wait=False) == first
        assert anna.page.inner_text("#waiting") == "20 waiting"
        anna.page.keyboard.press("3")  # a kind of defect is marked, and P means a false call
        anna.page.keyboard.press("p")
        assert "A kind of defect is marked" in anna.page.inner_text("#state")
        assert anna.shown(wait=False) == first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(service: review_desk.Service, chromium: Browser, scheme: str) -> None:
    assert AXE.exists(), "make stores fetches axe-core"
    key = service.token("lea", keys.OPERATOR, keys.LEAD)
    lea = review_desk.Operator(
        chromium, service.url, "lea", key, color_scheme=scheme, bypass_csp=True
    )
    lea.log_in()
    assert lea.shown(wait=True)
    found = {"review": violations(lea.page)}
    for name in ("lead", "golden", "keys", "privacy"):
        lea.page.goto(f"{service.url}/review/{name}.html")
        found[name] = violations(lea.page)
    lea.close()

    assert found == {"review": [], "lead": [], "golden": [], "keys": [], "privacy": []}


def hold_up(page: Page) -> list[Route]:
    """What a page asks of the queue from now on, none of it answered."""
    found: list[Route] = []
    page.route(ASKING, lambda route: found.append(route))
    return found


def first_of(held_up: list[Route], page: Page) -> Route:
    """The first request that a page has to wait for, once it is made."""
    found: list[Route] = services.until(lambda: page.title() and held_up)
    return found[0]


def violations(page: Page) -> list[str]:
    page.wait_for_load_state("networkidle")
    page.add_script_tag(path=AXE)
    run = "axe.run().then(({violations}) => violations.map((each) => each.id))"
    found: list[str] = page.evaluate(run)
    return found
