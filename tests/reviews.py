"""Items for tests of the review page, their pictures, and a store of their verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from PIL import Image

from pcb_spark.review import items, queue, tables
from pcb_spark.review.verdicts import Entry

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

ANNA = queue.Page(page="page-of-anna", operator_id="op-anna")
BEN = queue.Page(page="page-of-ben", operator_id="op-ben")
_NUMBERS = itertools.count()


def pictures(width: int = 40, height: int = 30) -> items.Pictures:
    return items.Pictures(
        image="run/image.png", reference="run/reference.png", heat="run/heat.png",
        width=width, height=height, x=0.75, y=0.25,
    )  # fmt: skip


def item(name: str, board: str = "B1", **changes: Any) -> items.Item:
    told = {
        "item_id": name, "image_id": f"image-{name}", "source_uri": f"file:/drop/images/{name}.png",
        "line": "L1", "lot": "41", "board_id": board, "position": name.upper(),
        "part_number": "R-0603", "captured_at": "2026-01-05T08:00:00.000000+00:00",
        "decision": "fail", "review": "decision", "certainty": 0.5, "model_version": "m1",
        "pictures": pictures(),
    }  # fmt: skip
    return items.Item(**{**told, **changes})


def entry(item_id: str, state: str, **more: Any) -> Entry:
    """An entry with an id of its own."""
    return Entry(entry_id=f"entry-{next(_NUMBERS):06}", item_id=item_id, state=state, **more)


def folder(root: Path, found: Sequence[items.Item], name: str = "run") -> Path:
    """A folder of items as ``pcb-spark review-queue`` writes it: grey, green, red."""
    place = root / name
    place.mkdir(parents=True)
    for which, colour in (("image", "#555"), ("reference", "#363"), ("heat", "#a33")):
        Image.new("RGB", (40, 30), colour).save(place / f"{which}.png")
    items.write(place, found)
    return root


def answered(store: Engine, hour: str, *, caught: int, missed: int, people: Sequence[str]) -> None:
    """Known defects that were answered within an hour, ``2026-03-04T07``, and who worked then."""
    moment = f"{hour}:00:00.000000+00:00"
    queue.load(store, [item("k", known_defect=True), item("a")])
    with store.begin() as connection:
        for found in [True] * caught + [False] * missed:
            name = f"shown-{next(_NUMBERS):06}"
            showing = {"item_id": name, "known_id": "k", "shown_at": moment, "entry_id": name}
            told = {"caught": found, "answered_at": moment}
            connection.execute(sa.insert(tables.SHOWINGS), showing | told)
    said_by(store, "a", dict.fromkeys(people, "NotVerifiedYet"), moment)


def said_by(
    store: Engine, item_id: str, states: Mapping[str, str], moment: str | None = None
) -> None:
    """What people said of an item, as the page would leave it, at a moment or now."""
    with store.begin() as connection:
        for who, state in states.items():
            told = {"operator_id": who, "entered_at": moment or tables.now()}
            connection.execute(sa.insert(tables.ENTRIES), entry(item_id, state).row() | told)
