"""What has to hold of a loop that was closed: every image once, none lost, counts in = out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pcb_spark.core import names, policy

#: Where a golden image that was approved lies in the drop.
_APPROVED = "/references/approved-"

#: Places and their verdicts.
Verdicts = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something that has to hold, and whether it does."""

    told: str
    ok: bool

    def __str__(self) -> str:
        return f"{'ok    ' if self.ok else 'BROKEN'}  {self.told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version: on how many verified images it was trained."""

    version: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAfter:
    """What came of a day once the lead had approved a golden image and stopped a line.

    Attributes
    ----------
    arrived : images that the cameras delivered.
    stopped : the line.
    decided : line and decision of each of them.
    again : those of the position that the golden image was approved for.
    references : what each of these is compared with.
    """

    arrived: AbstractSet[str]
    stopped: str
    decided: Sequence[tuple[str, str]]
    again: AbstractSet[str]
    references: Sequence[str]


@dataclass(kw_only=True)
class Loop:
    """What was seen at each station; images go by their place on a board.

    Attributes
    ----------
    truth : what the boards have.
    arrived : images that the cameras delivered for the night.
    decided : each row of ``scores``: place and decision.
    asked : places that somebody has to look at.
    queued : each item of the queue that is no known defect.
    pressed : what was entered at the browser.
    stored : each verdict of the store.
    taken_in : what ingest made of it, of the night's images.
    known_caught, known_shown : known defects that were found, of those that were mixed in.
    at_the_page : what the shift itself found wrong: shown to two, shown again.
    champion, challenger : before and after.
    promoted : whether the challenger was, by the exit code.
    last_promotion : the version of the record's last row.
    refusals : why not, as the record of the comparison says.
    day_after : what came of one more day.
    """

    truth: Verdicts
    arrived: AbstractSet[str]
    decided: Sequence[tuple[str, str]]
    asked: AbstractSet[str]
    queued: Sequence[str]
    pressed: Verdicts
    stored: Sequence[tuple[str, str]]
    taken_in: Verdicts
    champion: Model
    challenger: Model
    promoted: bool
    last_promotion: str
    known_caught: int = 0
    known_shown: int = 0
    refusals: Sequence[str] = ()
    at_the_page: Sequence[str] = field(default_factory=tuple)
    day_after: DayAfter | None = None


def checks(loop: Loop) -> list[Check]:
    """All that has to hold."""
    after = _day_after(loop.day_after) if loop.day_after else []
    return [*_night(loop), *_page(loop), *_return(loop), *_model(loop), *after]


def cleared(loop: Loop) -> tuple[int, int]:
    """How many images the champion cleared, and how many of these are defects in truth."""
    gone = [place for place, decision in loop.decided if decision == policy.PASS]
    return len(gone), sum(loop.truth[place] == names.VERDICT_FAIL for place in gone)


def _night(loop: Loop) -> list[Check]:
    once = Counter(place for place, _ in loop.decided)
    return [
        Check(
            told=f"{len(loop.decided)} decisions of {len(loop.arrived)} images, each once",
            ok=once == Counter(loop.arrived),
        ),
        Check(
            told=f"{len(loop.queued)} images in the queue, the {len(loop.asked)} that somebody has "
            "to look at, each once",
            ok=Counter(loop.queued) == Counter(loop.asked),
        ),
    ]


def _page(loop: Loop) -> list[Check]:
    stored = dict(loop.stored)
    right = {place: loop.truth[place] for place in loop.pressed}
    return [
        Check(
            told=f"{len(loop.pressed)} of {len(loop.queued)} decided at the browser, none shown to "
            "two or again",
            ok=loop.pressed.keys() == set(loop.queued) and not loop.at_the_page,
        ),
        Check(
            told=f"{len(loop.stored)} verdicts in the store, each once and as its key said",
            ok=len(stored) == len(loop.stored) and stored == dict(loop.pressed),
        ),
        Check(told="every verdict is what the board truly has", ok=dict(loop.pressed) == right),
        Check(
            told=f"{loop.known_caught} of {loop.known_shown} known defects found",
            ok=loop.known_caught == loop.known_shown,
        ),
    ]


def _return(loop: Loop) -> list[Check]:
    return [
        Check(
            told=f"{len(loop.taken_in)} verdicts of the store taken in by ingest, unchanged",
            ok=dict(loop.taken_in) == dict(loop.stored),
        )
    ]


def _model(loop: Loop) -> list[Check]:
    more = loop.challenger.images - loop.champion.images
    becomes = loop.challenger.version if loop.promoted else loop.champion.version
    return [
        Check(
            told=f"version {loop.challenger.version} learnt from {loop.challenger.images} verified "
            f"images, {more} more than version {loop.champion.version}",
            ok=more == len(loop.taken_in),
        ),
        Check(
            told=f"the record's champion is version {loop.last_promotion}: the challenger was "
            f"{'promoted' if loop.promoted else 'refused'}",
            ok=loop.last_promotion == becomes and loop.promoted != bool(loop.refusals),
        ),
    ]


def _day_after(day: DayAfter) -> list[Check]:
    stopped = [decision for line, decision in day.decided if line == day.stopped]
    others = [decision for line, decision in day.decided if line != day.stopped]
    gone = [decisions.count(policy.PASS) for decisions in (stopped, others)]
    approved = sum(_APPROVED in each for each in day.references)
    return [
        Check(
            told=f"the day after {gone[0]} of {len(stopped)} images of {day.stopped} cleared, "
            f"which the lead had stopped, and {gone[1]} of {len(others)} others",
            ok=len(day.decided) == len(day.arrived) and bool(stopped) and gone[0] == 0 < gone[1],
        ),
        Check(
            told=f"{approved} of {len(day.again)} images compared with the golden image that the "
            "lead approved for their position",
            ok=0 < approved == len(day.again),
        ),
    ]
