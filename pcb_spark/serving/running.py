"""Running an application on a socket until SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from pcb_spark.core.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)


def serve(app: FastAPI, listening: socket.socket, *, grace_seconds: int) -> None:
    """Answer requests until SIGTERM, and then those in progress."""
    # No proxy headers: uvicorn would put what a proxy says of its client in the proxy's place.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
    )  # fmt: skip
    log.info("listening at http://%s:%d", *listening.getsockname()[:2])
    with _ending_in_order():
        uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end with 0: uvicorn raises it again in the end, for whoever waited before it."""
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Take the address before a model is loaded: one in use is told at once, and clients wait."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends what is small at once (TCP_NODELAY) only where a socket names its protocol
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen()
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"the service can't listen at {host}:{port}", got=error, hint="name a free --port"
            ) from None
        yield bound
