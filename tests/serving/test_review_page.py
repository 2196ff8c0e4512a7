"""The review page in a real browser: a short shift, and what assistive programs make of it."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import review_desk, review_shift, servers
from pcb_spark.serving import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = servers.HOME / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = pytest.mark.skipif(
    review_desk.chromium_program() is None, reason="no Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with review_desk.browser() as found:
        yield found


@contextlib.contextmanager
def started(folder: Path, *flags: str) -> Iterator[review_desk.Service]:
    review_desk.make_items(folder / "items", 20)
    found = review_desk.Service(folder, *flags)
    found.start()
    yield found
    found.kill()


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
    assert statistics.median(account.milliseconds) < 100


def test_looking_decides_nothing(service: review_desk.Service, chromium: Browser) -> None:
    anna = review_desk.Operator(chromium, service.url, "anna", service.token("anna", keys.OPERATOR))
    anna.log_in()
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
    anna.close()


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


def violations(page: Page) -> list[str]:
    page.wait_for_load_state("networkidle")
    page.add_script_tag(path=AXE)
    run = "axe.run().then(({violations}) => violations.map((each) => each.id))"
    found: list[str] = page.evaluate(run)
    return found
