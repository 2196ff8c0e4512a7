"""Photograph the review page with Debian's Chromium: desktop, tablet, dark, and the lead's page.

    python -m docs.review_screenshots out/review

The folder is one that ``pcb-spark review-queue`` wrote; what is entered here goes to a store of its
own, which is forgotten.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from faults.review_desk import Operator, Service, browser
from pcb_spark.serving import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PICTURES = Path(__file__).resolve().parent / "pictures"
_SHOWN_MS = 400


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its name, its size in px, and what is pressed before it is taken."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    touch: bool = False
    press: str = ""
    path: str = ""


SHOTS = (
    Shot("review-desktop", 1400, 900),
    Shot("review-dark-heat", 1400, 900, scheme="dark", press="h"),
    Shot("review-tablet", 820, 1180, touch=True),
    Shot("review-lead", 1400, 900, path="/review/lead.html"),
)
#: What an operator says before the lead looks.
_SAID = ["1f", "p", "p", "2f", "p", "a", "p", "1f", "u", "p", "f", "p", "3f", "p", "r"]


def take(chromium: Browser, service: Service, shot: Shot) -> Path:
    """Write one picture into ``pictures/`` and return its path."""
    key = service.token("lea", keys.OPERATOR, keys.LEAD)
    operator = Operator(
        chromium, service.url, "lea", key, viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme, has_touch=shot.touch,
    )  # fmt: skip
    operator.log_in()
    operator.shown(wait=True)
    if shot.path:
        operator.page.goto(service.url + shot.path)
    if shot.press:
        operator.page.keyboard.press(shot.press)
    operator.page.wait_for_timeout(_SHOWN_MS)
    target = _PICTURES / f"{shot.name}.png"
    operator.photograph(target)
    operator.page.goto("about:blank")
    operator.close()
    return target


def main(folder: Path) -> None:
    """Take all pictures; a shift has begun before the last one, which is the lead's."""
    with tempfile.TemporaryDirectory() as scratch:
        service = Service(Path(scratch), items=folder.resolve())
        service.start()
        try:
            with browser() as chromium:
                for shot in SHOTS:
                    if shot.path:
                        _work(chromium, service)
                    sys.stdout.write(f"{take(chromium, service, shot)}\n")
        finally:
            service.kill()


def _work(chromium: Browser, service: Service) -> None:
    operator = Operator(chromium, service.url, "anna", service.token("anna", keys.OPERATOR))
    operator.log_in()
    for presses in _SAID:
        if operator.shown(wait=True) is None:
            break
        for number in presses[:-1]:
            operator.press(number, advances=False)
        operator.press(presses[-1])
    operator.wait_until_stored()
    operator.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say which folder `pcb-spark review-queue --to` wrote")
    main(Path(sys.argv[1]))
