"""Close the loop on rendered boards: from the camera drop to a challenger that learnt at the page.

    python -m faults.close_loop [--images 750] [--weeks 5] [--backbone FILE] [--folder out/loop]

All but the last week has verdicts. A model is trained on it and promoted, scores the last week as
a night, and ``review-queue`` hands on what it leaves to people. Two operators in Chromium, who know
what was rendered and have nothing but the page and its keys, decide that. ``ingest`` takes in what
they said, a challenger is trained on it, compared with the champion, and promoted or refused. In
the end ``loop_checks`` has to hold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faults import loop_drop, loop_tables, review_desk, review_shift
from faults.kill_ingest import place
from faults.kill_nightly import Plant
from faults.loop_checks import DayAfter, Loop, Model, checks, cleared
from faults.loop_lead import Lead
from pcb_spark.core import names
from pcb_spark.core.errors import ApprovalError, MonitorAlarm
from pcb_spark.review import database, exports, items, known, queue

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_SETTINGS: Final = (
    "seed=7", "folds.n=3", "folds.learning_curve=1", "policy.max_slip_rate=0.05",
    'backbone.precision="int8"', 'registry.window_days=42',
)  # fmt: skip
#: Days that have no verdicts yet when their night comes.
_NIGHT_DAYS: Final = 5
_KNOWN_DEFECTS: Final = 10
#: The line that the lead stops.
_STOPPED: Final = "L1"
#: How often the operators are sent back to what is left, at most.
_ROUNDS: Final = 6
_REFUSED: Final = "refused: "
#: What a comparison says, among all that retraining does.
_GATE: Final = (_REFUSED, "the gate lets it pass", "reviews saved", "version ", "champion ")


class Stations:
    """The stations of the loop, one after the other, and how long each took."""

    def __init__(self, folder: Path, backbone: str, *, images: int, weeks: int) -> None:
        self.folder = folder
        self.boards = loop_drop.Plant(
            folder / "rendered", folder / "drop", images=images, weeks=weeks, seed=7
        )
        self.plant = Plant(
            drop=folder / "drop", out=folder / "tables",
            settings=(*_SETTINGS, f"backbone.weights={json.dumps(backbone)}"),
        )  # fmt: skip
        *days, self._day_after = self.boards.days
        self._known_days, self.days = days[:-_NIGHT_DAYS], days[-_NIGHT_DAYS:]
        self._approved = ""
        (folder / "items").mkdir()
        settings = folder / "review.toml"
        kinds = json.dumps(self.boards.kinds)
        settings.write_text(f"kinds = {kinds}\nknown_defect_rate = 0.05\n", encoding="utf-8")
        self.service = review_desk.Service(folder, "--settings", str(settings))

    def train(self) -> None:
        """Take in what has verdicts, train the first model, and make it champion."""
        self.boards.deliver(self._known_days, verified=self._known_days)
        for job in ("ingest", "featurize", "train"):
            self._call(job)
        self._call("model", "promote", "--who", "loop", "--why", "the first one")

    def night(self) -> None:
        """Deliver the last days, and let the champion decide them."""
        self.boards.deliver(self.days, verified=self._known_days)
        self._call("nightly", allowed=(0, MonitorAlarm.exit_code))
        to = ("--to", str(self.folder / "items"), "--known-defects", str(_KNOWN_DEFECTS))
        self._call("review-queue", *to)

    def review(self, chromium: Browser, pictures: Path) -> review_shift.Account:
        """Have two operators decide what is left, at their browsers."""
        with (
            _timed("review"),
            review_shift.at_work(self.service, chromium, says=self.boards.says) as shift,
        ):
            anna = shift.operators[0]
            anna.shown(wait=True)
            anna.wait_until_loaded()
            anna.photograph(pictures / "loop-review.png")
            for _ in range(_ROUNDS):
                if not (left := self._left()):
                    break
                shift.work(left)
                for operator in shift.operators:
                    operator.wait_until_stored()
        with _timed("approve, stop"):
            self._lead(chromium, pictures)
        return shift.account

    def learn(self) -> list[str]:
        """Take the verdicts in, and train a challenger: what its comparison says."""
        self._call("ingest", "--set", self._verdict_store)
        said = self._call("retrain")[1]
        return said[said.find("all verified;") :].splitlines()[1:]

    def promote(self) -> bool:
        """Ask that the challenger becomes champion; whether it did."""
        promote = ("model", "promote", "--who", "loop", "--why", "learnt at the page")
        code, _ = self._call(*promote, allowed=(0, ApprovalError.exit_code))
        return code == 0

    def go_on(self) -> DayAfter:
        """Have one more day come, and decide it: what was approved and stopped counts for it."""
        self.boards.deliver([self._day_after], verified=self._known_days, without=self._approved)
        self._call("nightly", "--set", self._verdict_store, allowed=(0, MonitorAlarm.exit_code))
        arrived = self.boards.places([self._day_after])
        again = {place for place in arrived if self.boards.reference(place) == self._approved}
        return DayAfter(
            arrived=arrived,
            stopped=_STOPPED,
            decided=loop_tables.decided_of(self.plant.out, arrived),
            again=again,
            references=loop_tables.references(self.plant.out, again),
        )

    @property
    def _verdict_store(self) -> str:
        return f"ingest.verdict_store={json.dumps(self.service.store)}"

    def _left(self) -> int:
        engine = database.connect(self.service.store)
        try:
            return queue.left(engine)
        finally:
            engine.dispose()

    def _lead(self, chromium: Browser, pictures: Path) -> None:
        """Approve a golden image of what comes again, and stop clearing of a line."""
        lead = Lead(chromium, self.service)
        lead.photograph_shift(pictures / "loop-lead.png")
        to_come = self.boards.references([self._day_after], but=_STOPPED)
        place = lead.approve(
            lambda place: self.boards.reference(place) in to_come, since=self._day_after
        )
        self._approved = self.boards.reference(place)
        lead.take_references(self.boards.drop)
        lead.stop_clearing(_STOPPED)
        lead.close()

    def _call(self, *words: str, allowed: Sequence[int] = (0,)) -> tuple[int, str]:
        job = itertools.takewhile(lambda word: not word.startswith("--"), words)
        with _timed(" ".join(job)):
            return self.plant.call(*words, allowed=allowed)


@contextmanager
def _timed(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {name}\n")
    sys.stdout.flush()


def close(stations: Stations, pictures: Path) -> Loop:
    """Walk the loop once."""
    stations.train()
    stations.night()
    stations.service.start()
    try:
        with review_desk.browser() as chromium:
            account = stations.review(chromium, pictures)
    finally:
        stations.service.kill()
    champion = loop_tables.newest(stations.plant.out)
    told = stations.learn()
    sys.stdout.writelines(f"          {line}\n" for line in told if line.startswith(_GATE))
    refusals = [line.removeprefix(_REFUSED) for line in told if line.startswith(_REFUSED)]
    promoted = stations.promote()
    loop = _seen(stations, account, champion, refusals, promoted=promoted)
    loop.day_after = stations.go_on()
    return loop


def _seen(
    stations: Stations,
    account: review_shift.Account,
    champion: Model,
    refusals: Sequence[str],
    *,
    promoted: bool,
) -> Loop:
    out, boards = stations.plant.out, stations.boards
    rows = loop_tables.scores(out)
    found = [
        each for folder in items.folders(stations.folder / "items") for each in items.read(folder)
    ]
    queued = {
        each.item_id: f"{each.board_id} {each.position}" for each in found if not each.known_defect
    }
    night, verdicts = boards.places(stations.days), loop_tables.verdicts(out)
    engine = database.connect(stations.service.store)
    stored = [(queued[each["item_id"]], each[names.VERDICT]) for each in exports.said(engine)]
    caught, shown = known.caught(engine, "")
    engine.dispose()
    return Loop(
        truth={name: each.verdict for name, each in boards.truth.items()},
        arrived=night,
        decided=[(loop_drop.place_of(row), row[names.DECISION]) for row in rows],
        asked={loop_drop.place_of(row) for row in rows if row[names.REVIEW]},
        queued=[*queued.values()],
        pressed={queued[each]: said for each, said in account.pressed.items() if each in queued},
        stored=stored,
        taken_in={name: said for name, said in verdicts.items() if name in night},
        champion=champion,
        challenger=loop_tables.newest(out),
        promoted=promoted,
        last_promotion=loop_tables.last_promotion(out),
        known_caught=caught,
        known_shown=shown,
        refusals=refusals,
        at_the_page=account.faults,
    )


def main() -> int:
    """Walk the loop, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=750)
    parser.add_argument("--weeks", type=int, default=5)
    parser.add_argument(
        "--backbone", default="untrained", help="weights; else an untrained network"
    )
    parser.add_argument("--folder", type=Path, help="an empty folder that stays, with its log")
    parser.add_argument("--pictures", type=Path, help="where pictures of the page go")
    options = parser.parse_args()
    if options.folder and options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"{options.folder} isn't empty")
    began = time.monotonic()
    with place(options.folder) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        stations = Stations(folder, options.backbone, images=options.images, weeks=options.weeks)
        loop = close(stations, options.pictures or folder)
    found = checks(loop)
    gone, slipped = cleared(loop)
    sys.stdout.writelines(f"{each}\n" for each in found)
    sys.stdout.writelines(f"refused: {why}\n" for why in loop.refusals)
    sys.stdout.write(
        f"{gone} of {len(loop.decided)} images cleared, {slipped} defects among them; "
        f"{time.monotonic() - began:.0f} s\n"
    )
    return 0 if all(each.ok for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
