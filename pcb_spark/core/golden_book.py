"""The golden images of a line's own boards that travel with an edge bundle, and which one counts.

Each is a file ``goldens/SHA256.png`` of the bundle. Which one an image is compared with is settled
as Spark settles it (``golden.choosing``): of the golden images of its position that are good on its
day the one that looks most like it, none where none does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pcb_spark.core import images, names, sketches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcb_spark.core.sketches import Sketch

    Pixels = NDArray[np.uint8]

FOLDER: Final = "goldens"
_PLACE: Final = (names.LINE, names.PART_NUMBER, names.POSITION)
#: Sketches that are remembered, 9 kB each.
_REMEMBERED: Final = 4096


def file_of(sha256: str) -> str:
    """The path of a golden image in its bundle; ``reference_uri`` has it without the suffix."""
    return f"{FOLDER}/{sha256}.png"


def is_own(reference: str) -> bool:
    """Whether a decision's ``reference`` names a golden image of the line's own, and no file."""
    return reference.startswith(f"{FOLDER}/")


def own_hash(reference: str) -> str:
    """The hash in a decision's ``reference`` of which ``is_own`` is true."""
    return reference.removeprefix(f"{FOLDER}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """One golden image: where it belongs, and on which days it is good.

    Attributes
    ----------
    line, part_number, position : null where that isn't known, or makes no difference.
    valid_until : the first day that has another one; None where there is none yet.
    """

    sha256: str
    valid_from: date
    valid_until: date | None = None
    line: str | None = None
    part_number: str | None = None
    position: str | None = None

    @property
    def place(self) -> tuple[str | None, ...]:
        """Where it belongs."""
        return tuple(getattr(self, name) for name in _PLACE)

    def good_on(self, day: date) -> bool:
        """Whether it judges images that were captured on a day."""
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goldens:
    """What a bundle's manifest says of its golden images.

    Attributes
    ----------
    by_line : whether each line has its own.
    most_misfit : how little an image may look like one that it is compared with, 1 - correlation.
    """

    own: tuple[Own, ...]
    by_line: bool
    most_misfit: float

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        own = [
            {name: value.isoformat() if isinstance(value, date) else value
             for name, value in asdict(each).items() if value is not None}
            for each in self.own
        ]  # fmt: skip
        return {"own": own, "by_line": self.by_line, "most_misfit": self.most_misfit}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Goldens:
        """Read what ``to_json`` made; KeyError, TypeError or ValueError where it is none."""
        own = tuple(Own(**{**each, **_dates(each)}) for each in raw["own"])
        return cls(own=own, by_line=bool(raw["by_line"]), most_misfit=float(raw["most_misfit"]))


def _dates(raw: Mapping[str, Any]) -> dict[str, date]:
    told = ("valid_from", "valid_until")
    return {name: date.fromisoformat(raw[name]) for name in told if name in raw}


class Found(NamedTuple):
    """The golden image that an image is compared with: its hash, and its file."""

    sha256: str
    content: bytes


class GoldenBook:
    """Finds golden images by position and looks; threads may share it.

    Parameters
    ----------
    parts : files of the bundle.
    """

    def __init__(self, told: Goldens, parts: Mapping[str, bytes]) -> None:
        self._told = told
        self._parts = parts
        self._by_place: dict[tuple[str | None, ...], list[Own]] = {}
        for each in sorted(told.own, key=lambda own: own.sha256):
            self._by_place.setdefault(each.place, []).append(each)
        self._sketches: OrderedDict[str, Sketch] = OrderedDict()

    def find(
        self, pixels: Pixels, traceability: Mapping[str, str | None], day: date
    ) -> Found | None:
        """Give the golden image of an image; None where it has none.

        Parameters
        ----------
        pixels : the decoded image, uint8 (3, 224, 224).
        day : that it was captured on, in the plant's zone.
        """
        offered = [each for each in self._of(traceability) if each.good_on(day)]
        if not offered:
            return None
        own = sketches.sketch(pixels)
        apart = [sketches.misfit(own, self._sketch(each.sha256)) for each in offered]
        best = offered[apart.index(min(apart))].sha256
        fits = min(apart) <= self._told.most_misfit
        return Found(best, self._parts[file_of(best)]) if fits else None

    def _of(self, traceability: Mapping[str, str | None]) -> Sequence[Own]:
        line, *others = (traceability.get(name) for name in _PLACE)
        if not any(each is not None for each in others):
            return ()
        return self._by_place.get((line if self._told.by_line else None, *others), ())

    def _sketch(self, sha256: str) -> Sketch:
        known = self._sketches.get(sha256)
        if known is None:
            content = self._parts[file_of(sha256)]
            known = sketches.sketch(images.decode(content))
            self._sketches[sha256] = known
            while len(self._sketches) > _REMEMBERED:
                self._sketches.popitem(last=False)
        return known
