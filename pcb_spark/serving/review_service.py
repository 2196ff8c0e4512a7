"""The commands of the review page: start it, and take the verdicts out of its store."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

from pcb_spark.core import durable
from pcb_spark.core.errors import ConfigError, EnvironmentFault, InputError
from pcb_spark.serving import keys
from pcb_spark.serving.settings import add_address

log = logging.getLogger(__name__)

_ROWS, _CFX = "rows", "cfx"
_GRACE_SECONDS: Final = 10
_URL = "e.g. sqlite:////var/lib/pcb/verdicts.db, or postgresql://host/database"


def add_review(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``pcb-serve review``."""
    parser.add_argument(
        "--items", type=Path, required=True, metavar="DIR",
        help="where `pcb-spark review-queue` puts what is to be reviewed",
    )  # fmt: skip
    parser.add_argument(
        "--store", required=True, metavar="URL", help=f"where verdicts are kept, {_URL}"
    )
    parser.add_argument("--keys", type=Path, metavar="FILE", help="file of API keys, hashed")
    parser.add_argument(
        "--operator-key", type=Path, required=True, metavar="FILE",
        help="key of operators' pseudonyms; it is made where there is none",
    )  # fmt: skip
    parser.add_argument(
        "--settings", type=Path, metavar="FILE",
        help="TOML: kinds of defect, keys of the page, a reverse proxy",
    )  # fmt: skip
    add_address(parser, port=8081)
    parser.add_argument("--verbose", action="store_true", help="log details")
    parser.set_defaults(command=_review)


def add_verdicts(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``pcb-serve verdicts``."""
    parser.add_argument(
        "--store", required=True, metavar="URL", help=f"where verdicts are kept, {_URL}"
    )
    parser.add_argument(
        "--form", choices=(_ROWS, _CFX), default=_ROWS,
        help="rows as ingest reads them, or IPC-CFX messages UnitsInspected (rows)",
    )  # fmt: skip
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FILE", help="e.g. drop/verdicts/review.jsonl"
    )
    parser.set_defaults(command=_verdicts, verbose=False)


def _review(options: argparse.Namespace) -> None:
    try:
        import uvicorn  # noqa: F401  what runs it

        from pcb_spark.review import database, pseudonyms
        from pcb_spark.serving import review_app, review_settings, running
        from pcb_spark.serving.desk import Desk
    except ImportError as error:
        raise _missing(error) from None
    settings = review_settings.read(options.settings)
    if options.keys is None and settings.proxy is None:
        raise ConfigError(
            "nobody could log in", expected="--keys FILE, or [proxy] in --settings",
            hint="make a key with `pcb-serve key --keys FILE --name NAME --scope operator`",
        )  # fmt: skip
    if not options.items.is_dir():
        what = f"{options.items} is no folder"
        raise ConfigError(what, hint="make it, and have `pcb-spark review-queue --to` fill it")
    ring = None if options.keys is None else keys.KeyRing(options.keys)
    who = pseudonyms.read(options.operator_key)
    with running.listening(options.host, options.port) as listening:
        engine = database.open_store(options.store)
        desk = Desk(engine, options.items, settings, ring, who)
        running.serve(review_app.build(desk), listening, grace_seconds=_GRACE_SECONDS)
        engine.dispose()


def _verdicts(options: argparse.Namespace) -> None:
    try:
        from pcb_spark.review import database, exports
    except ImportError as error:
        raise _missing(error) from None
    engine = database.connect(options.store)
    one = exports.message_of if options.form == _CFX else exports.row_of
    with database.reaching(engine):
        found = [one(entry) for entry in exports.said(engine)]
    engine.dispose()
    try:
        durable.write(options.to, exports.json_lines(found))
    except OSError as error:
        what = f"{options.to} can't be written"
        raise InputError(what, got=error.strerror, hint="name another file with --to") from None
    sys.stdout.write(f"{len(found)} verdicts in {options.to}\n")


def _missing(error: ImportError) -> EnvironmentFault:
    hint = "pip install 'pcb-spark[service]'"
    return EnvironmentFault("the service's libraries are missing", got=error, hint=hint)
