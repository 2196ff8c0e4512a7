"""What a job does with which tables, and so which jobs go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The tables that a job works on, by their names in the catalogue.

    Parameters
    ----------
    reads : it needs them to stay as they are.
    appends : it adds files; readers and others that append don't mind.
    updates : it changes them under the eyes of readers, which see each day before or after it.
    replaces : nobody else may read or write them meanwhile.
    pauses : it ends only when told to, and makes way for a job that asks.
    asks : it waits for those that pause, in place of giving up.
    """

    reads: frozenset[str] = _NONE
    appends: frozenset[str] = _NONE
    updates: frozenset[str] = _NONE
    replaces: frozenset[str] = _NONE
    pauses: bool = False
    asks: bool = False

    @property
    def tables(self) -> frozenset[str]:
        """All that it touches."""
        return self.reads | self.appends | self.updates | self.replaces

    @property
    def exchanges(self) -> frozenset[str]:
        """What it may put something else in the place of."""
        return self.updates | self.replaces

    def excludes(self, other: Claim) -> bool:
        """Whether the two jobs may not work at the same time."""
        return bool(
            self.replaces & other.tables
            or other.replaces & self.tables
            or self.updates & other.updates
        )

    def __or__(self, other: Claim) -> Claim:
        """What a job claims that does one after the other."""
        both = {f.name: getattr(self, f.name) | getattr(other, f.name) for f in fields(Claim)}
        return Claim(**both)

    def looking_only(self) -> Claim:
        """The claim of the same job where it only says what it would do."""
        return Claim(reads=self.tables)

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        found = asdict(self)
        return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in found.items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Claim:
        """Read what ``to_json`` made; TypeError where it is something else."""
        sets: dict[str, Any] = {
            key: frozenset(value) if isinstance(value, list) else value
            for key, value in found.items()
        }
        return cls(**sets)
