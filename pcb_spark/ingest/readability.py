"""How much of a drop can't be read, and whether that is most of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pcb_spark.core import names
from pcb_spark.core.errors import InputError

#: Rejects that say nothing of how a file is written: they count neither as read nor as unread.
_BESIDE: Final = (
    names.VERDICT_SUPERSEDED, names.VERDICT_WITHOUT_IMAGE, names.MESSAGE_WITHOUT_VERDICT,
)  # fmt: skip
#: Rejects of rows that were understood, each by itself.
_UNDERSTOOD: Final = (names.VERDICT_CONFLICT,)
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Readability:
    """Rows of one kind: how many there are, and how many were rejected by reason."""

    kind: str
    rows: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many rows should have been understood."""
        return self.rows - sum(self.reasons.get(reason, 0) for reason in _BESIDE)

    @property
    def unread(self) -> Counter[str]:
        """How many of them weren't, by reason."""
        passed = (*_BESIDE, *_UNDERSTOOD)
        return Counter({why: n for why, n in self.reasons.items() if why not in passed})

    @property
    def is_mostly_unread(self) -> bool:
        """Whether more than half weren't."""
        return 2 * self.unread.total() > self.asked

    def __str__(self) -> str:
        return (
            f"{self.unread.total()} of {self.asked} {self.kind} rows can't be read, "
            f"most of them for {self.unread.most_common(1)[0][0]}"
        )


def refuse(found: Iterable[Readability], drop: str) -> None:
    """Stop where more than half of the images, or of the verdict rows, can't be read.

    Raises
    ------
    InputError : it names the most frequent reason of each.
    """
    wrong = [each for each in found if each.is_mostly_unread]
    if wrong:
        told = "; ".join(f"{each.kind}: {counted(each.unread)}" for each in wrong)
        raise InputError(
            f"most of the drop {drop} can't be read: {'; '.join(map(str, wrong))}",
            got=told,
            hint="what can be read is in the tables; pcb-spark preview says what to set for the "
            "rest, and rejects has every row of it",
        )


def counted(reasons: Mapping[str, int]) -> str:
    """Reasons by count, the most frequent first; those of equal count by name."""
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count} {reason}" for reason, count in ordered[:_SHOWN]]
    others = sum(count for _, count in ordered[_SHOWN:])
    return ", ".join([*shown, *([f"{others} for other reasons"] if others else [])])
