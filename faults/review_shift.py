"""A shift at the review page: real browsers, two operators, and a service that is killed.

    python -m faults.review_shift --items 200 --kills 3 [--store postgresql://...] [--slow]

The operators press keys as people do: now and then they take one back, or want a second opinion.
In the end the store has to hold one verdict an image, the one whose key was pressed, and no image
may have been shown to two at once, or again after it was decided.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults.review_desk import Operator, Service, browser, make_items
from pcb_spark.core import names
from pcb_spark.review import database, exports, queue
from pcb_spark.serving import keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: What an operator presses at every so many-th item besides a verdict.
_UNDO_EVERY, _UNSURE_EVERY = 9, 7
#: Kilobytes a second and milliseconds of a slow network: 3G as Chromium's developers have it.
_SLOW: Final = (180.0, 150.0)
_MOST_IDLE: Final = 6
_MEANS: Final = {"f": names.VERDICT_FAIL, "p": names.VERDICT_PASS}
#: The keys that an operator presses for the item on the screen; the last one decides.
Says = Callable[[Operator, str], str]


@dataclass
class Account:
    """What was seen of a shift, and what was done."""

    pressed: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    undone: int = 0
    second: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def show(self, operator: str, item: str, others: dict[str, str]) -> None:
        """Note what an operator sees."""
        if item in self.pressed:
            self.faults.append(f"{item} was shown to {operator} after it was decided")
        if item in others.values():
            self.faults.append(f"{item} was shown to two at once")


def says_by_its_id(_: Operator, item: str) -> str:
    """Find every other item a true defect: half of all ids."""
    return "p" if int(item[-1], 16) % 2 else "1f"


class Shift:
    """Two operators at one queue, one key after another."""

    def __init__(self, operators: list[Operator], says: Says = says_by_its_id) -> None:
        self.operators = operators
        self._says = says
        self._turns = itertools.cycle(operators)
        self._count = 0
        self.account = Account()

    def work(self, count: int) -> None:
        """Decide so many items, or until none is left."""
        idle = 0
        while count and idle < _MOST_IDLE:
            operator = next(self._turns)
            item = operator.shown(wait=bool(idle))
            if item is None:
                idle += 1
                continue
            idle = 0
            self._look(operator, item)
            count -= self._decide(operator, item)

    def wait_until_loaded(self) -> None:
        """Wait until the pages can go on for a while without the service."""
        for operator in self.operators:
            operator.wait_until_loaded()

    def _look(self, operator: Operator, item: str) -> None:
        others = {
            other.name: shown
            for other in self.operators
            if other is not operator and (shown := other.shown(wait=False))
        }
        self.account.show(operator.name, item, others)

    def _decide(self, operator: Operator, item: str) -> int:
        """Press a key; how many items are decided by it."""
        self._count += 1
        if self._count % _UNSURE_EVERY == 0 and not operator.second_opinion():
            operator.press("u")
            self.account.second += 1
            return 0
        pressing = self._says(operator, item)
        self._press(operator, pressing)
        if self._count % _UNDO_EVERY == 0:
            operator.press("z")
            again = operator.shown(wait=True)
            if again != item:
                self.account.faults.append(f"{item} was taken back, and {again} is shown")
            self.account.undone += 1
            self._press(operator, pressing)
        self.account.pressed[item] = _MEANS[pressing[-1]]
        return 1

    def _press(self, operator: Operator, pressing: str) -> None:
        for mark in pressing[:-1]:
            operator.press(mark, advances=False)
        operator.press(pressing[-1])


def differences(account: Account, store: str) -> list[str]:
    """Where the store says something else than the operators did."""
    engine = database.open_store(store)
    stored = [(entry["item_id"], entry[names.VERDICT]) for entry in exports.said(engine)]
    left = queue.left(engine)
    engine.dispose()
    found = list(account.faults)
    doubled = [item for item, n in Counter(item for item, _ in stored).items() if n > 1]
    found += [f"{item} has two verdicts" for item in doubled]
    found += [f"{item} is lost" for item in account.pressed.keys() - dict(stored).keys()]
    found += [f"nobody said {item}" for item in dict(stored).keys() - account.pressed.keys()]
    wrong = set(account.pressed.items()) - set(stored)
    found += [f"{item} is stored otherwise" for item, _ in wrong if item in dict(stored)]
    return [*found, *([f"{left} are left"] if left else [])]


@contextmanager
def at_work(
    service: Service, chromium: Browser, *, slow: bool = False, says: Says = says_by_its_id
) -> Iterator[Shift]:
    """Two operators who have logged in."""
    operators = [
        Operator(chromium, service.url, name, service.token(name, keys.OPERATOR))
        for name in ("anna", "ben")
    ]
    for operator in operators:
        if slow:
            operator.throttle(*_SLOW)
        operator.log_in()
    shift = Shift(operators, says)
    try:
        yield shift
    finally:
        for operator in operators:
            shift.account.milliseconds += operator.milliseconds()
            operator.close()


def main() -> int:
    """Run a shift and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--decide", type=int, default=0, help="of these; 0: all")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--store", default="", help="a URL; empty: a SQLite file of its own")
    parser.add_argument("--slow", action="store_true", help="a network of 180 kB/s and 150 ms")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_items(folder / "items", options.items)
        service = Service(folder, store=options.store)
        service.start()
        try:
            with browser() as chromium, at_work(service, chromium, slow=options.slow) as shift:
                wanted = options.decide or options.items
                share = wanted // (options.kills + 1)
                for _ in range(options.kills):
                    shift.work(share)
                    shift.wait_until_loaded()
                    service.kill()
                    shift.work(3)  # what the pages have loaded ahead
                    service.start()
                shift.work(wanted - len(shift.account.pressed))
                for operator in shift.operators:
                    operator.wait_until_stored()
        finally:
            service.kill()
        found = differences(shift.account, service.store)
    if options.decide:
        found = [fault for fault in found if not fault.endswith("are left")]
    return _tell(shift.account, found)


def _tell(account: Account, found: list[str]) -> int:
    times = account.milliseconds
    told = {
        "verdicts": len(account.pressed), "undone": account.undone, "second": account.second,
        "key_to_next_ms_median": round(statistics.median(times), 1),
        "key_to_next_ms_p95": round(statistics.quantiles(times, n=20)[-1], 1), "n": len(times),
        "faults": found,
    }  # fmt: skip
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
