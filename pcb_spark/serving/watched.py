"""Around every request: an id, one line in the log, figures, and an answer whatever happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from pcb_spark.serving import logs
from pcb_spark.serving.refusals import Fault, body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pcb_spark.serving.metrics import RequestMetrics

log = logging.getLogger(__name__)

#: Routes whose lines would drown the others.
_QUIET = (
    "/healthz", "/readyz", "/metrics", "/review", "/v1/review/items/{item_id}/{which}",
)  # fmt: skip
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Watched:
    """ASGI middleware; the request's id is ``scope["state"]["request_id"]``.

    Parameters
    ----------
    headers : what every answer has besides, unless it says otherwise.
    """

    def __init__(
        self, app: ASGIApp, metrics: RequestMetrics, headers: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = {**_HEADERS, **(headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = logs.request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = own
        mark = logs.REQUEST.set(own)
        answer = _Answer(send, own, self._headers)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("a fault of pcb_spark itself")
            if not answer.status:
                await _apologise(own)(scope, receive, answer.send)
        finally:
            self._note(scope, answer.status, time.perf_counter() - began)
            logs.REQUEST.reset(mark)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route, details = route_of(scope), scope["state"].get("details", "")
        self._metrics.requests.labels(route, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        log.log(level, "%s %d %.1f ms%s", route, status, seconds * 1000, details)


class _Answer:
    """Sees an answer pass, and marks it."""

    def __init__(self, send: Send, request_id: str, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self._request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)


def route_of(scope: Scope) -> str:
    """Name the route, not the path: a path may say anything."""
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "other"


def _apologise(request_id: str) -> JSONResponse:
    fault = Fault(
        code="internal", what="a fault of pcb_spark itself",
        hint="look for the request's id in the service's log, and report it",
    )  # fmt: skip
    return JSONResponse(body(fault, request_id), HTTPStatus.INTERNAL_SERVER_ERROR)
