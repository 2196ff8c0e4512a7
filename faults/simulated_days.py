"""A plant of two lines, rendered day by day, and what only its renderer knows: every defect.

Each line makes two board designs a day; its lamp fades and is serviced every three weeks. One line
changes to a design with part numbers of its own; the camera of the other one darkens.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pcb_spark.demo.camera import GOLDEN_CAMERA, camera_on_day, jpeg
from pcb_spark.demo.product import Product, draw_defect
from pcb_spark.demo.schedule import POSITIONS
from pcb_spark.demo.units import STEADY

if TYPE_CHECKING:
    from pcb_spark.demo.camera import Camera

DARK_LINE: Final = "L1"
CHANGED_LINE: Final = "L2"
NEW_DESIGN: Final = "E9"
#: Board designs by line.
MADE: Final[Mapping[str, Sequence[str]]] = {DARK_LINE: ("A7", "B2"), CHANGED_LINE: ("C5", "D1")}
MASKS: Final = {"A7": "green", "B2": "blue", "C5": "red", "D1": "black", NEW_DESIGN: "green"}
COLUMNS: Final = (
    "image", "reference", "board_id", "position", "part_number", "lot", "line", "captured_at",
    "verdict", "defects", "verified_at",
)  # fmt: skip

_FIRST: Final = date(2026, 1, 5)  # a Monday
_DAYS_A_LOT: Final = 3
_SERVICED: Final = 15  # working days from one service of a lamp to the next
_PAUSE: Final = timedelta(minutes=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens on which working day, counted from the first one of the plant.

    Attributes
    ----------
    training : so many days are judged whole, and trained on; all others have nights.
    boards : of each line and day, of ten images each.
    changes : the day from which on the one line makes the new design alone.
    dark : the days on which the other one's camera gives ``light`` of its light, 0..1.
    missed : the days behind which no night runs.
    """

    training: int = 25
    days: int = 60
    boards: int = 4
    changes: int = 30
    dark: range = range(47, 50)
    light: float = 0.65
    missed: range = range(52, 57)
    fail_rate: float = 0.3
    seed: int = 0


def day_of(number: int) -> date:
    """The date of a working day."""
    return _FIRST + timedelta(days=number // 5 * 7 + number % 5)


def render(folder: Path, plan: Plan, numbers: Sequence[int], *, processes: int) -> None:
    """Render days into ``folder/<date>``, as they lie in a camera drop, with ``truth.csv``.

    Days that are there already stay as they are.
    """
    for design in MASKS:
        for (refdes, _), golden in zip(
            POSITIONS, _product(plan.seed, design).references, strict=True
        ):
            path = folder / "references" / f"{design}_{refdes}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(golden, GOLDEN_CAMERA.quality))
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(partial(_render_day, folder, plan), numbers))


def truth(folder: Path, number: int) -> list[dict[str, str]]:
    """The rows of a rendered day, with verdict and defects as they are."""
    with (folder / f"{day_of(number)}" / "truth.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows of a verdict file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    part.rename(path)


def _render_day(folder: Path, plan: Plan, number: int) -> None:
    place = folder / f"{day_of(number)}"
    if (place / "truth.csv").exists():
        return
    rows = []
    for line, board, design in _boards(plan, number):
        rng = np.random.default_rng([plan.seed, number, zlib.crc32(board.encode())])
        camera = _camera(plan, line, number)
        start = datetime.combine(day_of(number), time(6), UTC) + _PAUSE * int(board[-1])
        for position, (refdes, _) in enumerate(POSITIONS):
            defect = draw_defect(rng, position, plan.fail_rate)
            lot = _lot(design, number)
            pair = _product(plan.seed, design).photograph(rng, camera, lot, position, defect)
            image = f"images/line={line}/date={day_of(number)}/{board}_{refdes}.jpg"
            path = place / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(pair.image, pair.quality))
            moment = start + timedelta(seconds=2 * position)
            rows.append({
                "image": image, "reference": f"references/{design}_{refdes}.jpg",
                "board_id": board, "position": refdes, "part_number": f"{design}-{refdes}",
                "lot": lot, "line": line, "captured_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
                "verdict": "fail" if defect else "pass", "defects": defect or "",
            })  # fmt: skip
    write(place / "truth.csv", rows)


def _boards(plan: Plan, number: int) -> Iterator[tuple[str, str, str]]:
    """Line, board and design of each board of a day."""
    for line, designs in MADE.items():
        made = (NEW_DESIGN,) if line == CHANGED_LINE and number >= plan.changes else designs
        for nth in range(plan.boards):
            design = made[nth % len(made)]
            yield line, f"{_lot(design, number)}-{number:02d}{nth}", design


def _lot(design: str, number: int) -> str:
    return f"{design}L{1 + number // _DAYS_A_LOT:02d}"


def _camera(plan: Plan, line: str, number: int) -> Camera:
    """The line's camera of a day; both lines' lamps are never serviced on one day."""
    place = list(MADE).index(line)
    rng = np.random.default_rng([plan.seed, number, place])
    camera = camera_on_day(rng, (number + place * _SERVICED // 2) % _SERVICED)
    if line != DARK_LINE or number not in plan.dark:
        return camera
    red, green, blue = camera.gains
    return replace(camera, gains=(red * plan.light, green * plan.light, blue * plan.light))


@cache
def _product(seed: int, design: str) -> Product:
    """A design with all its lots, each as it is whichever day is rendered first."""
    rng = np.random.default_rng([seed, zlib.crc32(design.encode())])
    made = Product(rng, mask=MASKS[design], process=STEADY)
    for number in range(0, 200, _DAYS_A_LOT):
        made.lot(_lot(design, number))
    return made
