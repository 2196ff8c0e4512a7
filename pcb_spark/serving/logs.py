"""One line a request: which, how it ended, how long it took. No image, no id of one, no secret."""

from __future__ import annotations

import logging
import re
import secrets
import sys
from contextvars import ContextVar

REQUEST: ContextVar[str] = ContextVar("request", default="-")

_FORMAT = "%(asctime)s %(levelname)s request=%(request)s %(name)s: %(message)s"
_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


def request_id(given: str) -> str:
    """Take the client's id of a request where it is a plain one, else make one."""
    return given if _GIVEN.fullmatch(given) else secrets.token_hex(8)


def configure(*, verbose: bool = False) -> None:
    """Send the logs of service and server to stderr, each line marked with its request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(_mark)
    for name in ("pcb_spark", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    # It warns of single bytes of what was uploaded; whoever sent them is told.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def _mark(record: logging.LogRecord) -> bool:
    record.request = REQUEST.get()
    return True
