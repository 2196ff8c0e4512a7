"""The flags of single jobs, and what the command line takes as their values."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path


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


def add_own(command: argparse.ArgumentParser, job: str) -> None:
    """Add the flags that only this job has."""
    own = {"ingest": _add_modes, "prune": _add_limits, "export": _add_places}
    if job in own:
        own[job](command)


def _add_modes(parser: argparse.ArgumentParser) -> None:
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--once", action="store_true", help="take in what is new, and end (the default)"
    )
    modes.add_argument(
        "--continuous", action="store_true", help="take in what arrives until SIGTERM or SIGINT"
    )


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--before", type=day, required=True, metavar="YYYY-MM-DD",
        help="the first capture date that stays",
    )  # fmt: skip
    command.add_argument(
        "--force", action="store_true", help="remove what the bundle was trained on, too"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="say what would go, and remove nothing"
    )


def _add_places(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--to", type=Path, required=True, metavar="PLACE", help="a new folder, or a new .zip"
    )
    command.add_argument(
        "--key", type=Path, required=True, metavar="FILE",
        help="what signs it, as `pcb-spark key new` wrote it",
    )  # fmt: skip
    command.add_argument(
        "--weights-licence", metavar="TEXT", help="of weights that are a file of your own"
    )
