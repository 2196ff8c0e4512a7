"""``pcb-edge``: the decision at the plant, on a machine without Spark and without Java."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pcb_spark
from pcb_spark.core.errors import EnvironmentFault, PcbSparkError
from pcb_spark.serving import edge_home

if TYPE_CHECKING:
    from pcb_spark.core.edge_bundle import EdgeBundle
    from pcb_spark.serving.edge_heat import Explainer

HOME: Final = "PCB_EDGE_HOME"
_DEFAULT_HOME: Final = "/var/lib/pcb-edge"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see ``core.errors``).

    A command imports what it alone needs, since a start is most of what a single image costs.
    """
    options = _parser().parse_args(arguments)
    try:
        home = edge_home.made(options.home)
        return int(options.command(options, home))
    except PcbSparkError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except BrokenPipeError:  # whoever read the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pcb-edge", description=__doc__)
    parser.add_argument("--version", action="version", version=pcb_spark.__version__)
    parser.add_argument(
        "--home", type=Path, default=Path(os.environ.get(HOME) or _DEFAULT_HOME), metavar="DIR",
        help=f"where keys and model lie ({_DEFAULT_HOME}, or what {HOME} says)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_score(commands)
    _add_watch(commands)
    text = "believe a key of the plant's, beside those that are"
    command = _add(commands, "trust", text, _trust)
    command.add_argument("key", type=Path, metavar="FILE", help="a public key, plant.pub")
    text = "let another bundle decide; the old one stays where that fails"
    command = _add(commands, "update", text, _update)
    command.add_argument(
        "place", metavar="PLACE", help="a folder, a .zip, the URL of one, or models:/NAME@ALIAS"
    )
    command.add_argument("--allow-older", action="store_true", help="go back to an older bundle")
    _add(commands, "doctor", "check keys, bundle, self-test, versions and disk", _doctor)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    command: Callable[[argparse.Namespace, edge_home.Home], int],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "score", "decide images: a camera drop, or single files", _score)
    command.add_argument("places", nargs="+", type=Path, metavar="DIR|FILE")
    command.add_argument("--json", action="store_true", help="a line of JSON an image")
    command.add_argument(
        "--reference", type=Path, metavar="FILE", help="golden image of all of these files"
    )
    command.add_argument(
        "--heat", type=Path, metavar="DIR", help="where heat maps go of images that aren't cleared"
    )
    command.add_argument(
        "--bundle", type=Path, metavar="PLACE", help="another bundle than the one in --home"
    )


def _add_watch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "decide images as they appear in a camera drop, until SIGTERM"
    command = _add(commands, "watch", text, _watch)
    command.add_argument("drop", type=Path, metavar="DIR")
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="decisions, spool and ledger"
    )
    command.add_argument(
        "--to", type=Path, metavar="DIR", help="where the spool goes whenever this folder is there"
    )
    for flag, default, text in (
        ("--spool-gb", 20.0, "most of the disk that the spool takes, in 2**30 bytes"),
        ("--every", 1.0, "seconds between two looks"),
        ("--settle", 1.0, "seconds that a file has to be old"),
        ("--keep-days", 90.0, "days that decisions stay here"),
    ):
        said = f"{text} ({default:g})"
        command.add_argument(flag, type=float, default=default, metavar="N", help=said)
    command.add_argument("--once", action="store_true", help="look once, and end")


def _score(options: argparse.Namespace, home: edge_home.Home) -> int:
    from pcb_spark.core import decisions, edge_bundle
    from pcb_spark.serving import edge_score

    edge = (
        edge_bundle.open_bundle(options.bundle, home.trusted()) if options.bundle else home.open()
    )
    decider = decisions.Decider(edge)
    write = sys.stdout.write
    if not options.json:
        write(edge_score.header() + "\n")
    shown = edge_score.as_json if options.json else edge_score.as_row
    explainer = _explainer(edge, options.heat) if options.heat else None
    for drop, path in edge_score.places(options.places, edge.manifest.habits):
        found = edge_score.decide(drop, decider, path, reference=options.reference)
        write(shown(found) + "\n")
        if explainer is not None:
            explainer.explain(drop.root, found, options.reference)
    return 0


def _explainer(edge: EdgeBundle, to: Path) -> Explainer:
    from pcb_spark.serving.edge_heat import Explainer

    return Explainer(edge, to)


def _watch(options: argparse.Namespace, home: edge_home.Home) -> int:
    import json
    import logging
    import signal

    from pcb_spark.core.errors import InputError
    from pcb_spark.serving import edge_watch

    if not options.drop.is_dir():
        raise InputError(f"there is no folder {options.drop}", hint="name the camera's folder")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    pace = edge_watch.Pace(
        every=options.every, settle=options.settle, most=round(options.spool_gb * 2**30),
        keep_days=options.keep_days, to=options.to,
    )  # fmt: skip

    def tell(decision: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(decision, ensure_ascii=False, sort_keys=True) + "\n")
        sys.stdout.flush()

    watch = edge_watch.Watch(home, options.drop, options.out, pace, tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watch.stop.set())
    watch.run(once=options.once)
    return 0


def _trust(options: argparse.Namespace, home: edge_home.Home) -> int:
    found = home.trust(options.key)
    sys.stdout.write(f"bundles signed with {found.name} are believed from now on\n")
    return 0


def _update(options: argparse.Namespace, home: edge_home.Home) -> int:
    from pcb_spark.core import edge_bundle
    from pcb_spark.serving import edge_update

    with edge_update.fetched(options.place, home.folder) as path:
        edge = edge_bundle.open_bundle(path, home.trusted())
        before = home.install(edge, allow_older=options.allow_older)
    about = edge.manifest
    said = f"model {about.model.model_version}, exported {about.created_at}, decides from now on"
    sys.stdout.write(said + (f"; before it {before}\n" if before else "\n"))
    return 0


def _doctor(_: argparse.Namespace, home: edge_home.Home) -> int:
    from pcb_spark.serving import edge_doctor

    found = list(edge_doctor.checks(home))
    for check in found:
        sys.stdout.write(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:13} {check.found}\n")
    if not all(check.ok for check in found):
        what = "this machine can't decide as it should"
        raise EnvironmentFault(what, hint="put right what the lines with FAIL say")
    return 0
