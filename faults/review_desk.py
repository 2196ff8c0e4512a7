"""What a shift needs: the service as a process, items, and operators in Debian's Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageDraw

from pcb_spark.review import items
from pcb_spark.serving import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_MAIN: Final = "import sys; from pcb_spark.serving.service import main; sys.exit(main())"
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_SECONDS: Final = 60.0
_WAIT_MS: Final = 10_000
_SIDE: Final = 320


def make_items(root: Path, count: int) -> None:
    """Write a folder of items, each with its number on its pictures."""
    folder = root / "shift"
    folder.mkdir(parents=True)
    found = []
    for number in range(count):
        item_id = items.item_id(f"image-{number}", "0")
        pictures = items.Pictures(
            image=_draw(folder, number, items.IMAGE, "#4a4f55"),
            reference=_draw(folder, number, items.REFERENCE, "#38603c"),
            heat=_draw(folder, number, items.HEAT, "#7a3a30"),
            width=_SIDE, height=_SIDE, x=0.7, y=0.2,
        )  # fmt: skip
        found.append(_item(number, item_id, pictures))
    items.write(folder, found)


def _draw(folder: Path, number: int, which: str, colour: str) -> str:
    picture = Image.new("RGB", (_SIDE, _SIDE), colour)
    ImageDraw.Draw(picture).text((200, 60), f"{number} {which}")
    picture.save(folder / f"{number}-{which}.jpg")
    return f"{folder.name}/{number}-{which}.jpg"


def _item(number: int, item_id: str, pictures: items.Pictures) -> items.Item:
    return items.Item(
        item_id=item_id, image_id=f"image-{number}", source_uri=f"file:/drop/{number}.jpg",
        line="L1", lot="41", board_id=f"B{number // 10:04}", position=f"U{number % 10}",
        part_number="R-0603-10K", captured_at="2026-01-05T08:00:00.000000+00:00",
        decision="fail", review="decision", certainty=number % 10 / 10, model_version="m1",
        pictures=pictures,
    )  # fmt: skip


class Service:
    """The review page as a process that may be killed and started again at the same port."""

    def __init__(
        self, folder: Path, *flags: str, store: str = "", items: Path | None = None
    ) -> None:
        self._folder = folder
        self._flags = flags
        self._items = items or folder / "items"
        self.store = store or f"sqlite:///{folder}/verdicts.db"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.token("nobody", keys.ADMIN)

    def token(self, name: str, *scopes: str) -> str:
        """Make a key of somebody."""
        path = self._folder / "keys.json"
        made, key = keys.make(name, scopes)
        keys.write(path, [*(keys.read(path) if path.exists() else ()), key])
        return made

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            sys.executable, "-c", _MAIN, "review", "--items", str(self._items),
            "--store", self.store, "--keys", str(self._folder / "keys.json"),
            "--operator-key", str(self._folder / "operators.key"), "--port", str(self._port),
            *self._flags,
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        end = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                text = (self._folder / "log").read_text(encoding="utf-8")
                message = f"the service didn't start:\n{text}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Operator:
    """Somebody at a browser, with nothing but eyes and keys."""

    def __init__(self, chromium: Browser, url: str, name: str, key: str, **context: Any) -> None:
        self.name = name
        self._key = key
        self._url = url
        shape = {"viewport": {"width": 1400, "height": 900}, **context}
        self._context = chromium.new_context(**shape)
        self.page = self._context.new_page()

    def log_in(self) -> None:
        """Open the page, and log in."""
        self.page.goto(self._url)
        self.page.fill("#key", self._key)
        self.page.press("#key", "Enter")

    def throttle(self, kilobytes: float, milliseconds: float) -> None:
        """Make the network slow: so many kB a second, and so long until a first byte."""
        session = self._context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": milliseconds,
            "downloadThroughput": kilobytes * 1024, "uploadThroughput": kilobytes * 1024,
        })  # fmt: skip

    def shown(self, *, wait: bool) -> str | None:
        """The item on the screen, once it can be decided; None where there is none."""
        from playwright.sync_api import TimeoutError as TooLong

        with contextlib.suppress(TooLong):
            self.page.wait_for_selector("body[data-item]", timeout=_WAIT_MS if wait else 1)
        return self.page.get_attribute("body", "data-item")

    def where(self) -> str:
        """What the page says the item on the screen is of: line, lot, board and position."""
        return self.page.inner_text("#where")

    def second_opinion(self) -> bool:
        """Whether the item on the screen is for a second opinion."""
        return self.page.is_visible("#second")

    def press(self, key: str, *, advances: bool = True) -> None:
        """Press a key, and wait until another item is on the screen, or none."""
        before = self.page.get_attribute("body", "data-item")
        self.page.keyboard.press(key)
        if advances:
            changed = f"body:not([data-item='{before}'])"
            self.page.wait_for_selector(changed, timeout=6 * _WAIT_MS)

    def wait_until_loaded(self) -> None:
        """Wait until the page has the pictures of all the items that it holds."""
        self.page.wait_for_selector("body[data-loading='0']", timeout=6 * _WAIT_MS)

    def wait_until_stored(self) -> None:
        """Wait until the service has acknowledged everything."""
        self.page.wait_for_selector("#unsent", state="hidden", timeout=6 * _WAIT_MS)

    def milliseconds(self) -> list[float]:
        """How long each key took to bring the next item onto the screen."""
        entries = "performance.getEntriesByName('next-item').map((each) => each.duration)"
        return [float(each) for each in self.page.evaluate(entries)]

    def photograph(self, target: Path) -> None:
        """Write a picture of the page, in few colours: it goes into the docs."""
        self.page.screenshot(path=target)
        with Image.open(target) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(target, optimize=True)

    def close(self) -> None:
        """Close the browser's window."""
        self._context.close()


def chromium_program() -> str | None:
    """Debian's Chromium; PCB_CHROMIUM names another."""
    named = os.environ.get("PCB_CHROMIUM")
    return named or next(filter(None, map(shutil.which, _PROGRAMS)), None)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start a headless Chromium.

    Raises
    ------
    RuntimeError : there is none on this machine.
    """
    from playwright.sync_api import sync_playwright

    program = chromium_program()
    if program is None:
        message = "no Chromium found: apt-get install chromium, or set PCB_CHROMIUM"
        raise RuntimeError(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()
