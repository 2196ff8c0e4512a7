"""What is promised: at most so many of the next defects slip.

A share that is allowed becomes a promise that people can count: of the next h defects at most c
slip, h being c over that share. ``next_defects`` finds the threshold that keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from pcb_spark.core.errors import ConfigError

#: By which rule a threshold is chosen, see ``next_defects``.
Bound: TypeAlias = Literal["next", "lot"]
#: Slips that each rule allows, c: few enough to be counted by people.
SLIPS: Final[Mapping[Bound, int]] = {"next": 4, "lot": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class NextDefects:
    """At most ``slips`` of the next ``defects`` slip, with ``confidence``."""

    slips: int
    defects: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """At most ``max_slip_rate`` of the next defects slip, 0..1, with ``confidence``, 0..1.

    Attributes
    ----------
    bound : ``next`` takes the next defects to resemble the known ones, ``lot`` lets lots differ.
    segment_by : traceability column whose values have thresholds of their own where their defects
        are enough; None where all share one.
    """

    max_slip_rate: float
    confidence: float = 0.95
    bound: Bound = "next"
    segment_by: str | None = None

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> Promise | None:
        """Read it off ``Thresholds.evidence``; None where an earlier version promised a mean."""
        if evidence.get("bound") not in SLIPS:
            return None
        return cls(
            max_slip_rate=evidence["max_slip_rate"],
            confidence=evidence["confidence"],
            bound=evidence["bound"],
            segment_by=evidence.get("segment_by"),
        )

    @property
    def next_defects(self) -> NextDefects:
        """The same in numbers that people can count.

        Raises
        ------
        ConfigError : ``max_slip_rate`` or ``confidence`` is not between 0 and 1, exclusive.
        """
        for key in ("max_slip_rate", "confidence"):
            got = getattr(self, key)
            if not 0 < got < 1:
                what = f"policy.{key} is out of range"
                raise ConfigError(what, expected="above 0 and below 1", got=got)
        slips = SLIPS[self.bound]
        # 2 / 0.02 must not become 101 by the last bit of 0.02.
        defects = math.ceil(slips / self.max_slip_rate * (1 - 1e-12))
        return NextDefects(slips=slips, defects=defects, confidence=self.confidence)

    def holds(self, slip_rate: float, next_slips: float) -> bool:
        """Whether slips forward in time stay within it.

        Parameters
        ----------
        slip_rate : share of a fold's defects that slipped, 0..1.
        next_slips : how many slipped of the first ``next_defects`` of them.
        """
        return slip_rate <= self.max_slip_rate and next_slips <= SLIPS[self.bound]
