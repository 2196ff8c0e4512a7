"""Decides images as a camera writes them; each version of each file once, whatever happens.

The order is what makes it so: picture and golden image into the spool, then the decision, then its
copy in the spool, then the ledger. Each is on the disk before the next begins. A decision's file is
named for image and content: whoever starts again after a power cut finds it, and goes on from there
without deciding anew. The ledger only spares reading files again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pcb_spark.core import drops, durable, golden_book, layouts, memory
from pcb_spark.core.decisions import Decider
from pcb_spark.core.errors import Busy, StorageFault
from pcb_spark.serving import edge_score
from pcb_spark.serving.edge_ledger import Ledger, Version
from pcb_spark.serving.edge_spool import DECISIONS, Spool

if TYPE_CHECKING:
    from pcb_spark.serving.edge_home import Home

log = logging.getLogger(__name__)

#: Why an image may still be being written, and how long that is waited for.
_UNFINISHED: Final = ("truncated_image", "empty_file")
_UNFINISHED_SECONDS: Final = 60.0
_DAY: Final = 86_400.0
#: What else of a drop is brought along: folders and files of tables.
_TABLES: Final = ("manifest.csv", "verdicts.csv", "verdicts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a machine watches.

    Attributes
    ----------
    every, settle : seconds between two looks, and that a file has to be old.
    most : bytes of the spool.
    keep_days : so many days decisions stay on this disk.
    to : where the spool goes when it is there; None where something else brings it away.
    """

    every: float = 1.0
    settle: float = 1.0
    most: int = 20 << 30
    keep_days: float = 90.0
    to: Path | None = None


@dataclass
class Watch:
    """Watches the camera drop ``root`` for the machine at ``home``; what it says lies in ``out``.

    ``tell`` hears of each decision, as the JSON that is written.
    """

    home: Home
    root: Path
    out: Path
    pace: Pace
    tell: Callable[[dict[str, Any]], object]
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, once: bool = False) -> None:
        """Watch until ``stop`` is set, or look once.

        Raises
        ------
        Busy : another watch has this ``out``.
        StorageFault : the disk is full, or refuses.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            with _alone(self.out):
                self._run(once=once)
        except OSError as error:
            what = f"{error.filename or self.out} can't be read or written"
            hint = "free space, or give this user the rights"
            raise StorageFault(what, got=error.strerror, hint=hint) from None

    def _run(self, *, once: bool) -> None:
        desk = _Desk(self.root, self.out, self.pace)
        bundle, decider = self._decider()
        while not self.stop.is_set():
            if self.home.current.resolve() != bundle:
                bundle, decider = self._decider()
                memory.give_back()
            for told in desk.look(decider):
                self.tell(told)
                if self.stop.is_set():
                    break
            desk.forward()
            if once:
                return
            self.stop.wait(self.pace.every)

    def _decider(self) -> tuple[Path, Decider]:
        """The bundle that decides now, read whole: an update meanwhile changes none of it."""
        bundle = self.home.current.resolve()
        return bundle, Decider(self.home.open())


class _Desk:
    """Ledger, decisions and spool of one watch."""

    def __init__(self, root: Path, out: Path, pace: Pace) -> None:
        self._root, self._pace = root, pace
        self._decisions = out / DECISIONS
        self._decisions.mkdir(exist_ok=True)
        self._ledger = Ledger(out / "ledger.jsonl")
        self._ledger.compact(root)
        self._spool = Spool(out / "spool", pace.most)
        for half in self._decisions.rglob(".*.part"):
            half.unlink()
        self._told: set[str] = set()  # what was warned of
        self._forget()
        for told in self._spool.decisions():
            self._let_go(told)

    def look(self, decider: Decider) -> Iterator[dict[str, Any]]:
        """Decide what is new in the drop, image by image."""
        drop = drops.Drop(self._root, decider.manifest.habits)
        for path in drop.paths():
            version = self._news(path)
            if version is not None:
                told = self._deal_with(drop, decider, path, version)
                if told is not None:
                    yield told
        self._bring_tables(drop)
        for name in drop.unread():
            if name not in self._told:
                log.warning("%s isn't read: no plain CSV in UTF-8 with our columns", name)
                self._told.add(name)

    def forward(self) -> None:
        """Move the spool on, if that can be done now."""
        if self._pace.to is None:
            return
        try:
            moved = self._spool.forward(self._pace.to)
        except OSError as error:
            log.warning("the spool waits: %s: %s", error.filename, error.strerror)
            return
        if moved:
            log.info("%d files went to %s", moved, self._pace.to)

    def _news(self, path: str) -> Version | None:
        """The version of a file that nobody has dealt with, once it is old enough."""
        try:
            version = Version.of(self._root / path)
        except FileNotFoundError:
            return None
        known = self._ledger.get(path)
        if version.age() < self._pace.settle or (known and known.looks_like(version)):
            return None
        return version

    def _deal_with(
        self, drop: drops.Drop, decider: Decider, path: str, version: Version
    ) -> dict[str, Any] | None:
        """Decide one version of an image; None where it was decided before, or waits."""
        try:
            content = (self._root / path).read_bytes()
        except FileNotFoundError:
            return None
        sha256 = hashlib.sha256(content).hexdigest()
        image_id = drops.image_id(path)
        name = f"{image_id[:2]}/{image_id}-{sha256[:16]}.json"
        place = self._decisions / name
        told = None
        if not place.exists():
            told = self._decided(drop, decider, path, version, content)
            if told is None:
                return None
            place.parent.mkdir(exist_ok=True)
            durable.write(place, f"{json.dumps(told, ensure_ascii=False)}\n".encode())
        written = place.read_bytes()
        self._spool.keep_decision(name, written)
        self._ledger.note(path, version._replace(sha256=sha256))
        self._let_go(json.loads(written))
        return told

    def _decided(
        self, drop: drops.Drop, decider: Decider, path: str, version: Version, content: bytes
    ) -> dict[str, Any] | None:
        """Decide, and bring picture and golden image into the spool; None of a half-written one."""
        found = edge_score.decide(drop, decider, path, content=content)
        if found.reason in _UNFINISHED and version.age() < _UNFINISHED_SECONDS:
            return None
        kept = self._spool.keep(path, content)
        golden = found.reference
        handed_over = golden is not None and not golden_book.is_own(golden)
        if golden is not None and handed_over and not self._ledger.get(golden):
            kept = self._bring(golden) and kept
        return {**found.to_json(), "spooled": kept}

    def _bring_tables(self, drop: drops.Drop) -> None:
        """Bring what tells of images, each version once: verdicts come back with the pictures."""
        named = (*_TABLES, drop.habits.reference_windows)
        places = [self._root / name for name in named]
        files = [file for place in places for file in (place, *sorted(place.rglob("*")))]
        files += [file for file in drop.folder.rglob("*.json") if layouts.is_sidecar(file.name)]
        for file in files:
            path = file.relative_to(self._root).as_posix()
            if file.is_file() and not file.is_symlink() and self._news(path):
                self._bring(path)

    def _bring(self, path: str) -> bool:
        """Take a file that isn't decided into the spool; False where there is no room."""
        version = Version.of(self._root / path)
        content = (self._root / path).read_bytes()
        if not self._spool.keep(path, content):
            return False
        self._ledger.note(path, version._replace(sha256=hashlib.sha256(content).hexdigest()))
        return True

    def _let_go(self, told: dict[str, Any]) -> None:
        if told["decision"] == "pass" and told["review"] is None:
            self._spool.may_go(told["path"])

    def _forget(self) -> None:
        """Remove decisions that have been here for long enough."""
        oldest = time.time() - self._pace.keep_days * _DAY
        for path in self._decisions.rglob("*.json"):
            if path.stat().st_mtime < oldest:
                path.unlink()


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it whatever ends this process."""
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another watch works in {out}", hint="name another --out") from None
        yield
