"""What the command line takes as values of its flags."""

from __future__ import annotations

import argparse
from datetime import date


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if found > 0:
        return found
    msg = f"{text!r} is no number above 0"
    raise argparse.ArgumentTypeError(msg)


def day(text: str) -> date:
    """Read a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no day; expected e.g. 2026-01-31"
        raise argparse.ArgumentTypeError(msg) from None
