"""The report's colours, once for its style sheet and its charts.

Text colours keep a contrast of at least 4.5 : 1 to both backgrounds (WCAG 2.1, AA); the colours of
marks keep 3 : 1. Blue and orange stay apart for people who confuse red and green.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of one scheme, as #rrggbb."""

    page: str
    surface: str
    line: str
    ink: str
    muted: str
    accent: str
    second: str
    good: str
    warn: str


LIGHT = Palette(
    page="#f6f7f9",
    surface="#ffffff",
    line="#d9dde3",
    ink="#171a1f",
    muted="#565d68",
    accent="#1f5fbf",
    second="#b4540a",
    good="#1a7046",
    warn="#a13a0a",
)
DARK = Palette(
    page="#101318",
    surface="#191d24",
    line="#343b46",
    ink="#e9ecf1",
    muted="#a6aebb",
    accent="#7db1ff",
    second="#f2a65a",
    good="#6fcf97",
    warn="#ffb38a",
)
