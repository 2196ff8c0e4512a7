"""The flags of the command line that not all commands have, and the values that they take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

from pcb_spark.pipeline.registry import CHALLENGER
from pcb_spark.review import decided


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


def add_modes(parser: argparse.ArgumentParser) -> None:
    """How ingest ends."""
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument(
        "--once", action="store_true", help="take in what is new, and end (the default)"
    )
    modes.add_argument(
        "--continuous", action="store_true", help="take in what arrives until SIGTERM or SIGINT"
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What prune removes."""
    parser.add_argument(
        "--before", type=day, required=True, metavar="YYYY-MM-DD",
        help="the first capture date that stays",
    )  # fmt: skip
    parser.add_argument(
        "--force", action="store_true", help="remove what a model in use was trained on, too"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go, and remove nothing"
    )


def add_places(parser: argparse.ArgumentParser) -> None:
    """What export writes where, and what signs it."""
    parser.add_argument(
        "--to", type=Path, required=True, metavar="PLACE", help="a new folder, or a new .zip"
    )
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE",
        help="what signs it, as `pcb-spark key new` wrote it",
    )  # fmt: skip
    parser.add_argument(
        "--weights-licence", metavar="TEXT", help="of weights that are a file of your own"
    )
    parser.add_argument(
        "--version", metavar="VERSION",
        help="a registered one, by number or alias, in place of the bundle of paths.out",
    )  # fmt: skip


def add_queue(parser: argparse.ArgumentParser) -> None:
    """Where review-queue writes, and what goes with it."""
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR",
        help="folder of the review page; what it holds already isn't written again",
    )  # fmt: skip
    parser.add_argument(
        "--known-defects", type=int, default=0, metavar="N",
        help="true defects of earlier days, to be mixed in and see whether anybody looks (0)",
    )  # fmt: skip
    parser.add_argument(
        "--again", action="store_true", help="images that have a verdict already, too"
    )
    parser.add_argument(
        "--decisions", metavar="FOLDER",
        help="what edge machines decided: the decisions/ that came with their spool",
    )  # fmt: skip


def add_days(parser: argparse.ArgumentParser) -> None:
    """Which dates a night scores."""
    for flag, text in (
        ("--date", "score this capture date as a whole, also what was scored before"),
        ("--from", "the first of several such dates"),
        ("--to", "the last of them"),
    ):
        parser.add_argument(flag, type=day, metavar="YYYY-MM-DD", help=text, dest=flag[2:] + "_day")
    parser.add_argument("--no-ingest", action="store_true", help="take nothing in: a service does")


def add_board(parser: argparse.ArgumentParser) -> None:
    """Which board is explained, and where."""
    parser.add_argument("board", metavar="BOARD", help="as the column board_id has it")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FILE", help="the page, e.g. board.html"
    )
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="write JSON in place of a page"
    )


def add_forms(parser: argparse.ArgumentParser) -> None:
    """Which decisions are written, how, and where."""
    parser.add_argument(
        "--date", type=day, metavar="YYYY-MM-DD", dest="day",
        help="of this capture date; of all that the last night published if not given",
    )  # fmt: skip
    parser.add_argument("--as", choices=decided.FORMS, required=True, dest="form", help="how")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR",
        help="a folder; each date's files lie below it in one of their own",
    )  # fmt: skip


def add_textfile(parser: argparse.ArgumentParser) -> None:
    """Where a job says how it ended."""
    parser.add_argument(
        "--textfile", type=Path, metavar="FILE", help="write how it ended, for Prometheus"
    )


def add_condition(parser: argparse.ArgumentParser) -> None:
    """When to train again."""
    parser.add_argument(
        "--if-alarmed", action="store_true",
        help="only where the monitor raised an alarm in a night of the champion",
    )  # fmt: skip


def add_model(
    parser: argparse.ArgumentParser,
    actions: dict[str, str],
    add: Callable[[argparse.ArgumentParser], None],
) -> None:
    """What follows ``pcb-spark model``: ``actions`` by their names, with what each does."""
    words = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in actions.items():
        own = words.add_parser(name, help=text, description=text)
        add(own)
        if name in ("show", "compare", "promote"):
            own.add_argument(
                "version", nargs="?", default=CHALLENGER, metavar="VERSION",
                help=f"a number or an alias ({CHALLENGER})",
            )  # fmt: skip
        if name in ("promote", "rollback"):
            own.add_argument("--who", help="who decides (the user)")
            own.add_argument(
                "--why", required=name == "rollback", help="the reason, for the record"
            )
        if name == "promote":
            own.add_argument("--force", action="store_true", help="against the gate; wants --why")


def add_order(parser: argparse.ArgumentParser) -> None:
    """Of what clearing is stopped, or goes on."""
    parser.add_argument("--line", help="of one line; all lines if not given")
    parser.add_argument("--who", help="who decides (the user)")
    parser.add_argument("--why", required=True, help="the reason, for the record")


#: The flags of jobs that have some of their own.
OF_JOBS: Final[dict[str, Callable[[argparse.ArgumentParser], None]]] = {
    "ingest": add_modes,
    "prune": add_limits,
    "nightly": add_days,
    "export": add_places,
    "review-queue": add_queue,
    "explain": add_board,
    "decisions": add_forms,
    "retrain": add_condition,
}
