"""The views of a position: what stands there, image after image, and the golden image of each.

One position may show several things: two products that name it alike, two cameras, or the board
before and after a change. Each is a view, told apart by its looks (``core.sketches``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from pcb_spark.core import bundle, goldens, sketches

if TYPE_CHECKING:
    from pcb_spark.core.goldens import Pixels
    from pcb_spark.core.sketches import Sketch
    from pcb_spark.golden.settings import GoldenConfig

#: Why there is no golden image.
TOO_FEW: Final = "too_few_images"
GIVEN_UP: Final = "given_up"
#: Views that are remembered of one position.
MOST: Final = 8
#: Largest offset between good images of a position, as a share of the side.
_LIMIT: Final = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A verified-good image; ``known_from`` is the first day that may know its verdict."""

    image_id: str
    board_id: str
    captured_at: datetime
    known_from: date
    pixels: Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a view: a row of ``goldens`` without its position.

    ``png`` is None where the golden image of before stays, or there is none, for ``reason``.
    """

    view: int
    revision: int
    valid_from: date
    png: bytes | None
    sha256: str | None
    sketch: bytes | None
    images: list[str]
    taken: list[str]
    seen: int
    seen_when_made: int
    boards: int
    first_captured_at: datetime | None
    last_captured_at: datetime | None
    spread: float | None
    reason: str | None


@dataclass(kw_only=True)
class View:
    """One thing that a position shows: its most recent good images, and its golden image."""

    number: int
    images: list[Good] = field(default_factory=list)
    revision: int = 0
    seen: int = 0
    seen_when_made: int = 0
    sha256: str | None = None
    sketch: Sketch | None = None
    valid_from: date = date.min
    #: Of images that came since the row before; a correction changes a view without one.
    taken: list[str] = field(default_factory=list)
    changed: bool = False

    @property
    def likeness(self) -> Sketch | None:
        """What an image is compared with; None where corrections left no image."""
        if self.sketch is not None:
            return self.sketch
        return sketches.sketch(self.images[-1].pixels) if self.images else None

    def add(self, good: Good, most: int) -> None:
        """Take in an image, and let go of the oldest one."""
        self.images = [*self.images, good][-most:]
        self.taken.append(good.image_id)
        self.seen += 1
        self.changed = True
        self.valid_from = max(self.valid_from, good.known_from)

    def forget(self) -> None:
        """Do without a golden image: one of those that it was made of wasn't good."""
        self.sha256, self.sketch, self.seen_when_made, self.changed = None, None, 0, True

    def is_due(self, rule: GoldenConfig) -> bool:
        """Whether to make one: with every new image until it has enough, then once half are new."""
        if len(self.images) < rule.least or not self.changed:
            return False
        enough = min(self.seen_when_made, rule.images) == rule.images
        return self.seen - self.seen_when_made >= ((rule.images + 1) // 2 if enough else 1)


class Position:
    """One position's views; give it images in the order in which their verdicts were known.

    ``views`` are those of earlier nights, and ``last`` the highest number that one ever had.
    """

    def __init__(self, rule: GoldenConfig, views: Sequence[View] = (), last: int = 0) -> None:
        self.rule = rule
        self.views = list(views)
        self._last = last

    def add(self, good: Good) -> Iterator[Made]:
        """Add an image to the view that it fits, else begin a new one."""
        view = self._fitting(good)
        if view is None:
            self._last += 1
            view = View(number=self._last)
            self.views.append(view)
        view.add(good, self.rule.images)
        if len(self.views) > MOST:
            yield self._given_up(but=view)

    def close_day(self) -> Iterator[Made]:
        """Make the golden images that are due once a day's images are in."""
        for view in self.views:
            if view.is_due(self.rule):
                yield _make(view)

    def close(self) -> Iterator[Made]:
        """Say how the views stand that changed since they were last told of."""
        for view in self.views:
            if view.changed:
                yield _stands(view)

    def _fitting(self, good: Good) -> View | None:
        own = sketches.sketch(good.pixels)
        apart = {
            view.number: sketches.misfit(own, likeness)
            for view in self.views
            if (likeness := view.likeness) is not None
        }
        fitting = [view for view in self.views if apart.get(view.number, 1) <= self.rule.max_misfit]
        return min(fitting, key=lambda view: apart[view.number], default=None)

    def _given_up(self, but: View) -> Made:
        """Forget the view without a golden image, else any, that had no image for longest."""
        others = [view for view in self.views if view is not but]
        oldest = min(others, key=lambda each: (each.sha256 is not None, each.valid_from))
        self.views.remove(oldest)
        oldest.valid_from = max(oldest.valid_from, but.valid_from)
        oldest.sha256, oldest.sketch = None, None
        return _row(oldest, reason=GIVEN_UP)


def _make(view: View) -> Made:
    found = goldens.golden([each.pixels for each in view.images], limit=_LIMIT)
    png = goldens.encode(found.pixels, found.shown)
    view.sha256, view.sketch = bundle.sha256(png), sketches.sketch(found.pixels)
    view.seen_when_made = view.seen
    return _row(view, png=png, spread=found.spread)


def _stands(view: View) -> Made:
    return _row(view, reason=None if view.sha256 else TOO_FEW)


def _row(
    view: View, *, png: bytes | None = None, spread: float | None = None, reason: str | None = None
) -> Made:
    view.revision += 1
    taken, view.taken, view.changed = view.taken, [], False
    times = [each.captured_at for each in view.images]
    return Made(
        view=view.number,
        revision=view.revision,
        valid_from=view.valid_from,
        png=png,
        sha256=view.sha256,
        sketch=view.sketch.tobytes() if png is not None and view.sketch is not None else None,
        images=[each.image_id for each in view.images],
        taken=taken,
        seen=view.seen,
        seen_when_made=view.seen_when_made,
        boards=len({each.board_id for each in view.images}),
        first_captured_at=min(times, default=None),
        last_captured_at=max(times, default=None),
        spread=spread,
        reason=reason,
    )
