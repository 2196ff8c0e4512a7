"""The lead of a loop, at the pages in Chromium: a golden image is approved, and a line stopped."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults import review_desk
from pcb_spark.serving import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from faults.loop_drop import Place

#: ``C2 · line L2, board D1L06-001, 2026-01-26``, as a candidate is named.
_CANDIDATE: Final = re.compile(r"^(\S+).*, board (\S+),")


class Lead:
    """Somebody who may look at the shift's figures, approve golden images and stop clearing."""

    def __init__(self, chromium: Browser, service: review_desk.Service) -> None:
        key = service.token("lea", keys.LEAD)
        self._url = service.url
        self._window = review_desk.Operator(chromium, service.url, "lea", key)
        self._page = self._window.page
        self._window.log_in()
        self._page.wait_for_selector("#to-lead:not([hidden])")

    def photograph_shift(self, target: Path) -> None:
        """Write a picture of the shift's figures."""
        self._go_to_shift()
        self._window.photograph(target)

    def approve(self, wanted: Callable[[Place], bool], *, since: str) -> Place:
        """Approve the first candidate that is wanted as golden image from a day on.

        Raises
        ------
        LookupError : none is.
        """
        self._page.goto(f"{self._url}/review/golden.html")
        self._page.wait_for_selector("#candidates li")
        for card in self._page.locator("#candidates li").all():
            told = _CANDIDATE.match(card.inner_text())
            if told and wanted(f"{told[2]} {told[1]}"):
                self._page.fill("#from", since)
                self._page.fill("#why", "good, and sharper than the one before")
                card.get_by_role("button").click()
                self._page.locator("#state", has_text="is approved").wait_for()
                return f"{told[2]} {told[1]}"
        raise LookupError("the page offers no golden image of a position that comes again")

    def take_references(self, drop: Path) -> None:
        """Fetch what is approved, and unpack it into a drop."""
        with self._page.expect_download() as download:
            self._page.click("a[href$='references.zip']")
        with zipfile.ZipFile(download.value.path()) as packed:
            packed.extractall(drop)

    def stop_clearing(self, line: str) -> None:
        """Press the button that has a line cleared no more."""
        self._go_to_shift()
        self._page.select_option("#line", line)
        self._page.fill("#why", "another lamp")
        self._page.click("#brake button[value='stop']")
        self._page.locator("#stopped", has_text="Nothing is cleared").wait_for()

    def close(self) -> None:
        """Close the browser's window."""
        self._window.close()

    def _go_to_shift(self) -> None:
        self._page.goto(f"{self._url}/review/lead.html")
        self._page.wait_for_selector("body[data-ready]")
