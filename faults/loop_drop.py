"""A rendered plant whose last days have no verdicts yet, and what its boards truly have."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pcb_spark.core import names
from pcb_spark.demo.camera_drop import render_drop

if TYPE_CHECKING:
    from faults.review_desk import Operator

_TABLE: Final = "verdicts.csv"
_WHERE: Final = re.compile(r"board (\S+) · (\S+)")

#: A position on a board, as the page names it: ``A7L01-003 R1``.
Place = str


@dataclass(frozen=True, slots=True)
class Truth:
    """What a position truly has: the verdict, and the kind of a defect."""

    verdict: str
    kind: str


class Plant:
    """A rendered drop, delivered day by day.

    Parameters
    ----------
    rendered : where it is rendered to.
    drop : the camera drop that ingest reads.
    """

    def __init__(self, rendered: Path, drop: Path, *, images: int, weeks: int, seed: int) -> None:
        render_drop(rendered, images=images, weeks=weeks, seed=seed)
        self._rendered, self.drop = rendered, drop
        with (rendered / _TABLE).open(encoding="utf-8", newline="") as file:
            self._rows = list(csv.DictReader(file))
        self.truth = {place_of(row): Truth(row["verdict"], row["defects"]) for row in self._rows}
        self._by_place = {place_of(row): row for row in self._rows}
        self.days = sorted({_day(row) for row in self._rows})
        self.kinds = sorted({each.kind for each in self.truth.values()} - {""})
        shutil.copytree(rendered / "references", drop / "references")

    def deliver(
        self, days: Sequence[str], *, verified: Sequence[str] = (), without: str = ""
    ) -> None:
        """Bring the images of days, and the table of all days up to the last of them.

        Parameters
        ----------
        verified : the days whose verdicts are known already.
        without : a reference that rows of these days name no more.
        """
        for row in self._rows:
            if _day(row) in days:
                place = self.drop / row["image"]
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._rendered / row["image"], place)
        told = [row for row in self._rows if _day(row) <= max(days)]
        with (self.drop / _TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(told[0]))
            writer.writeheader()
            for row in told:
                gone = _day(row) in days and row[names.REFERENCE] == without
                named = {**row, names.REFERENCE: ""} if gone else row
                writer.writerow(named if _day(row) in verified else _unverified(named))

    def reference(self, place: Place) -> str:
        """What the image of a place is compared with: the same for all boards of a design."""
        return self._by_place[place][names.REFERENCE]

    def references(self, days: Sequence[str], *, but: str) -> set[str]:
        """What the images of days are compared with, on all lines but one."""
        rows = (row for row in self._rows if _day(row) in days and row[names.LINE] != but)
        return {row[names.REFERENCE] for row in rows}

    def places(self, days: Sequence[str]) -> set[Place]:
        """The places of all images of days."""
        return {place_of(row) for row in self._rows if _day(row) in days}

    def says(self, operator: Operator, _: str) -> str:
        """What somebody presses who knows the truth and sees which position is on the screen."""
        return keys_of(self.truth[seen(operator.where())], self.kinds)


def place_of(row: Mapping[str, str]) -> Place:
    """The place of a row or an item."""
    return f"{row[names.BOARD_ID]} {row[names.POSITION]}"


def seen(where: str) -> Place:
    """The place that a line of the page names, ``line L1 · lot A7L01 · board A7L01-003 · R1``."""
    found = _WHERE.search(where)
    if found is None:
        raise ValueError(f"the page names no place: {where!r}")
    return " ".join(found.groups())


def keys_of(truth: Truth, kinds: Sequence[str]) -> str:
    """The keys of a verdict: ``p``, or the number of the kind and ``f``."""
    return f"{kinds.index(truth.kind) + 1}f" if truth.verdict == names.VERDICT_FAIL else "p"


def _day(row: Mapping[str, str]) -> str:
    return row[names.CAPTURED_AT][:10]


def _unverified(row: Mapping[str, str]) -> dict[str, str]:
    return {**row, names.VERDICT: "", names.DEFECTS: ""}
