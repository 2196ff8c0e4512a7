"""Whom each image is compared with, and the features of the pairs; part of ``goldens``.

A drop is gone through day by day: each image meets the golden image that earlier days made of what
was found good, by the rules of ``pcb_spark.golden``. All of it is kept in files, so that processes
share the work and a second run goes on where the first one ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from benchmarks import packing
from benchmarks.registration import read_rows
from pcb_spark.core import batches, images, names, sketches
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import PairReader, Reading
from pcb_spark.golden.settings import GoldenConfig
from pcb_spark.golden.views import Good, Position
from pcb_spark.network import features
from pcb_spark.network.settings import FeaturesConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]

Values = TypeVar("Values", "list[Row]", "NDArray[np.int64]")

RULE = GoldenConfig()
HANDED_OVER, OWN, WRONG, NONE = "handed over", "own", "own, one of seven wrong", "nothing"
#: An image is compared up to so many times ``max_misfit``, as ``golden.choosing`` has it.
_MOST = 2.0
#: Of an offset that is corrected, as a share of the shorter side.
LIMIT = 0.08


class Seen(NamedTuple):
    """Features (n, F) of the rows that have any, ``there`` (n,) says which."""

    there: NDArray[np.bool_]
    values: NDArray[np.float32]


class Task(NamedTuple):
    """The ``part``-th of ``parts`` of a drop, by place and then by row, in one way of comparing."""

    drop: Path
    scratch: Path
    way: str
    graph: Path
    part: int
    parts: int

    @property
    def kept(self) -> Path:
        """Where its features go."""
        return self._file("features.npz")

    @property
    def goldens(self) -> Path:
        """The folder that its golden images go to."""
        return self._file("goldens")

    @property
    def which(self) -> Path:
        """Where it says which row has which of them."""
        return self._file("which.npy")

    @property
    def all_parts(self) -> list[Task]:
        """The same of every part."""
        return [self._replace(part=part) for part in range(self.parts)]

    def _file(self, name: str) -> Path:
        way = self.way.replace(",", "").replace(" ", "_")
        return self.scratch / f"{way}_{self.part}_of_{self.parts}_{name}"


def day_of(row: Row) -> date:
    """The day of an image."""
    return date.fromisoformat(row["captured_at"][:10])


def compared(
    rows: Sequence[Row], pixels: Mapping[str, Pixels], *, wrong: bool = False
) -> tuple[list[bytes], dict[str, int]]:
    """The files of all golden images, and which of them an image has, made of earlier days.

    Parameters
    ----------
    wrong : whether of seven images of a golden image one is a defect that was taken for good.
    """
    positions: dict[str, Position] = {}
    made: list[bytes] = []
    newest: dict[tuple[str, int], int] = {}
    found: dict[str, int] = {}
    good: dict[str, int] = defaultdict(int)
    for day, of_day in groupby(rows, key=day_of):
        today = list(of_day)
        for row in today:
            known = positions.get(place_of(row))
            view = nearest(pixels[row["image"]], known) if known else None
            if view is not None:
                found[row["image"]] = newest[place_of(row), view]
        for row in _taken(today, good, wrong=wrong):
            position = positions.setdefault(place_of(row), Position(RULE))
            for _ in position.add(good_of(row, pixels[row["image"]], day)):
                pass
        for place, position in positions.items():
            for new in position.close_day():
                if new.png is not None:
                    newest[place, new.view] = len(made)
                    made.append(new.png)
    return made, found


def _taken(today: Sequence[Row], good: dict[str, int], *, wrong: bool) -> Iterator[Row]:
    """What counts as verified good; after six good images a product's next defect may."""
    for row in today:
        place = place_of(row) + (row.get("reference") or "")
        if row["verdict"] == "pass":
            good[place] += 1
            yield row
        elif wrong and good[place] >= RULE.images - 1:
            good[place] = 0
            yield row


def nearest(image: Pixels, position: Position) -> int | None:
    """The view that an image looks most like; None where it looks like none."""
    own = sketches.sketch(image)
    apart = [
        (sketches.misfit(own, view.sketch), view.number)
        for view in position.views
        if view.sketch is not None
    ]
    best = min(apart, default=None)
    return None if best is None or best[0] > _MOST * RULE.max_misfit else best[1]


def good_of(row: Row, pixels: Pixels, day: date) -> Good:
    """A row as what was found good on its day."""
    return Good(
        image_id=row["image"],
        board_id=row["board_id"],
        captured_at=datetime.combine(day, datetime.min.time(), UTC),
        known_from=day + timedelta(days=1),
        pixels=pixels,
    )


def place_of(row: Row) -> str:
    """Where an image belongs."""
    return " ".join(row.get(name) or "" for name in ("line", "part_number", "position"))


def keep_goldens(task: Task) -> None:
    """Write the golden images of some places, and which row has which; -1 is none."""
    if task.which.exists() or task.way == NONE:
        return
    rows = read_rows(task.drop)
    places = sorted({place_of(row) for row in rows})[task.part :: task.parts]
    mine = [row for row in rows if place_of(row) in set(places)]
    if task.way == HANDED_OVER:
        made, found = _handed_over(mine, task.drop)
    else:
        made, found = compared(mine, decoded(mine, task.drop), wrong=task.way == WRONG)
    task.goldens.mkdir(exist_ok=True)
    for number, file in enumerate(made):
        _golden_file(task, number).write_bytes(file)
    np.save(task.which, np.array([found.get(row["image"], -1) for row in rows]))


def _handed_over(rows: Sequence[Row], drop: Path) -> tuple[list[bytes], dict[str, int]]:
    """The files of the drop's references, and which of them an image has."""
    files = sorted({row["reference"] for row in rows if row.get("reference")})
    there = [name for name in files if (drop / name).is_file()]
    number = {name: place for place, name in enumerate(there)}
    found = {row["image"]: number[row["reference"]] for row in rows if row["reference"] in number}
    return [(drop / name).read_bytes() for name in there], found


def decoded(rows: Sequence[Row], drop: Path) -> dict[str, Pixels]:
    """The pixels of each row's image, by its name."""
    return {row["image"]: images.decode((drop / row["image"]).read_bytes()) for row in rows}


def keep_features(task: Task) -> None:
    """Compute and write the features of a task."""
    if task.kept.exists():
        return
    rows = _share_of(task, read_rows(task.drop))
    session = packing.one_thread_session(task.graph.read_bytes())
    width = session.get_outputs()[0].shape[-1]
    found, there = np.zeros((len(rows), width), dtype=np.float32), np.zeros(len(rows), dtype=bool)
    for number, feed in enumerate(_feeds(rows, task)):
        if feed is not None:
            found[number] = session.run([batches.FEATURES], feed)[0][0, 0]
            there[number] = True
    np.savez(task.kept, there=there, values=found)


def read_features(tasks: Sequence[Task]) -> Seen:
    """The features of all parts of a way, in the order of the rows."""
    kept = [np.load(task.kept) for task in tasks]
    return Seen(*(np.concatenate([each[name] for each in kept]) for name in Seen._fields))


def _feeds(rows: Sequence[Row], task: Task) -> Iterator[dict[str, NDArray[np.int64]] | None]:
    """What the graph is fed with, image by image; None where one can't be compared."""
    goldens = [None] * len(rows) if task.way == NONE else _goldens(task)
    pairs = PairReader(_reading(task.way))
    for row, golden in zip(rows, goldens, strict=True):
        image = (task.drop / row["image"]).read_bytes()
        try:
            pair = pairs.read(image, golden.read_bytes() if golden else None)
        except ImageError:
            yield None
        else:
            references = None if pair.reference is None else [pair.reference]
            yield batches.feed([pair.image], references, [0] if references else ())


def _reading(way: str) -> Reading:
    """How a pair is read, as it is served."""
    references = names.HANDED_OVER if way in (HANDED_OVER, NONE) else names.OWN
    return features.reading_of(
        FeaturesConfig(), difference=way != NONE, bit_depth=images.FULL_DEPTH, references=references
    )


def _goldens(task: Task) -> list[Path | None]:
    """The file of the golden image of each row of the task."""
    found: list[Path | None] = []
    for place, each in enumerate(task.all_parts):
        which = _share_of(task, np.load(each.which))
        found = found if place else [None] * len(which)
        found = [
            old if at < 0 else _golden_file(each, at) for old, at in zip(found, which, strict=True)
        ]
    return found


def _golden_file(task: Task, number: int) -> Path:
    return task.goldens / f"{number}.png"


def _share_of(task: Task, values: Values) -> Values:
    start, stop = (len(values) * (task.part + end) // task.parts for end in (0, 1))
    return values[start:stop]
