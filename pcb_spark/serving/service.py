"""The web services, and the keys of those who may use them; they need no Spark and no Java.

::

    pcb-serve key --keys keys.json --name line-3 --scope score
    pcb-serve start --bundle edge.zip --trust plant.pub --keys keys.json
    pcb-serve review --items out/review --store sqlite:///verdicts.db --keys keys.json ...
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pcb_spark
from pcb_spark.core import signatures
from pcb_spark.core.errors import ConfigError, EnvironmentFault, PcbSparkError
from pcb_spark.serving import keys, logs, review_service
from pcb_spark.serving.settings import Settings, add_address, add_flags

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see ``core.errors``)."""
    options = _parser().parse_args(arguments)
    logs.configure(verbose=options.verbose)
    try:
        options.command(options)
    except PcbSparkError as error:
        log.error("%s: %s", type(error).__name__, error)
        log.debug("where it was raised", exc_info=True)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pcb-serve", description=__doc__.partition("\n")[0])
    parser.add_argument("--version", action="version", version=pcb_spark.__version__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    text = "answer requests until SIGTERM"
    _add_start(commands.add_parser("start", help=text, description=text))
    text = "show what is left for people, and keep their verdicts, until SIGTERM"
    review_service.add_review(commands.add_parser("review", help=text, description=text))
    text = "write the verdicts of the review page into a file that ingest or others read"
    review_service.add_verdicts(commands.add_parser("verdicts", help=text, description=text))
    text = "make an API key, or revoke one; a running service notices"
    _add_key(commands.add_parser("key", help=text, description=text))
    return parser


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, required=True, metavar="PATH",
        help="edge bundle, a folder or a .zip; what is put in its place is taken at once",
    )  # fmt: skip
    parser.add_argument(
        "--trust", type=Path, action="append", required=True, dest="trusted", metavar="FILE",
        help="a .pub file, or a folder of them, whose signature a bundle has to have; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--allow-older", action="store_true", help="take bundles that were exported before, too"
    )
    parser.add_argument(
        "--golden", type=Path, metavar="DIR",
        help="references.csv and golden images, as in a drop, for images that name no reference",
    )  # fmt: skip
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--keys", type=Path, metavar="FILE", help="file of API keys, hashed")
    who.add_argument("--without-keys", action="store_true", help="let everybody do everything")
    add_address(parser, port=8080)
    add_flags(parser)
    parser.add_argument("--verbose", action="store_true", help="log details")
    parser.set_defaults(command=_start)


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=Path, required=True, metavar="FILE", help="file of API keys")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--name", help="whose key it is")
    what.add_argument("--revoke", metavar="ID", help="key that is valid no more")
    parser.add_argument(
        "--scope", action="append", choices=[*keys.SCOPES, *keys.ROLES], dest="scopes",
        help="what it may; may be repeated (score)",
    )  # fmt: skip
    parser.add_argument("--days", type=int, metavar="N", help="how long; else until it is revoked")
    parser.set_defaults(command=_key, verbose=False)


def _key(options: argparse.Namespace) -> None:
    path: Path = options.keys
    known = keys.read(path) if path.exists() else ()
    if options.revoke:
        left = [key for key in known if key.id != options.revoke]
        if len(left) == len(known):
            ids = ", ".join(key.id for key in known) or "none"
            raise ConfigError("no such API key", expected=f"one of {ids}", got=options.revoke)
        keys.write(path, left)
        sys.stdout.write(f"revoked {options.revoke}; {len(left)} left\n")
        return
    token, key = keys.make(options.name, options.scopes or [keys.SCORE], days=options.days)
    keys.write(path, [*known, key])
    sys.stdout.write(f"{token}\n")
    log.info("key %s of %s may %s; it is shown this once", key.id, key.name, ", ".join(key.scopes))


def _start(options: argparse.Namespace) -> None:
    try:
        import uvicorn  # noqa: F401  what runs it

        from pcb_spark.serving import app, running, served
    except ImportError as error:
        raise EnvironmentFault(
            "the service's libraries are missing", got=error,
            hint="pip install 'pcb-spark[service]'",
        ) from None  # fmt: skip
    settings = Settings.of(options)
    load = partial(
        served.load, trusted=signatures.read_public(options.trusted),
        max_pixels=settings.max_pixels, most=settings.batch,
    )  # fmt: skip
    ring = None if options.without_keys else keys.KeyRing(options.keys)
    with running.listening(options.host, options.port) as listening:
        service = app.Service(
            options.bundle, load, settings, ring,
            allow_older=options.allow_older, golden=options.golden,
        )  # fmt: skip
        running.serve(app.build(service), listening, grace_seconds=settings.grace_seconds)
