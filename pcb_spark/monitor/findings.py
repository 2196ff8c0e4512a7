"""What a night shows of itself, and what is found of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

    from pcb_spark.lake.scopes import Scope
    from pcb_spark.learning.near_slips import NearSlips
    from pcb_spark.review.vigilance import Vigilance

Level = Literal["", "warn", "alarm"]
WARN: Final = "warn"
ALARM: Final = "alarm"
MEAN: Final = "mean"
AGAINST: Final = "against_lines"
KS: Final = "ks"
PSI: Final = "psi"
SHARE: Final = "share"
COUNT: Final = "count"
NEW: Final = "new"
#: Known defects that a shift at the review page passed as good: of people, not of the model.
MISSED: Final = "known_defects_missed"

Seen = Mapping[str, Sequence[tuple[str, str | None, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One number of a night, held against the reference.

    Attributes
    ----------
    family : which tests it shares its part of the budget with.
    scope : ``line`` L1, ``position`` L1 R9.
    line : the line that it is of, None where it is of all.
    number, statistic : what was looked at, and how: ``brightness``, ``mean``.
    value, expected : of the night, and of the reference.
    effect : the gap in standard deviations of single images, a ratio of counts, or the distance.
    p_value : how likely by chance; 0 where no chance is asked for.
    p_night : the same of this night alone.
    n : images of the night.
    """

    family: str
    scope: Scope
    line: str | None
    number: str
    statistic: str
    value: float
    expected: float
    effect: float
    p_value: float
    n: int
    p_night: float = 1.0
    level: Level = ""

    @property
    def key(self) -> tuple[str, str | None, str, str]:
        """What it is of, whichever night."""
        return (*self.scope, self.number, self.statistic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What a night shows of itself.

    Attributes
    ----------
    images : a sample of its images, (rows of ``cells.PLACES`` and numbers).
    counts : images, and those without a score, by line: columns ``line``, ``count``,
        ``unscorable``.
    unreadable : files of the day that are no images.
    lag_hours : median hours until a verdict, of those of the day, None without any.
    near : near slips, None where no defect was seen.
    seen : by column, each value with a line that it is on, and how many images have it.
    vigilance : what shifts at the review page did with known defects.
    may_miss : share of known defects that a shift may miss.
    """

    images: pd.DataFrame
    counts: pd.DataFrame
    unreadable: int
    lag_hours: float | None
    near: NearSlips | None
    seen: Seen = field(default_factory=dict)
    vigilance: Sequence[Vigilance] = ()
    may_miss: float = 0.0
