"""What the services answer when something is wrong, and how OpenAPI describes it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from pcb_spark.serving import wire
from pcb_spark.serving.refusals import Refusal, body

if TYPE_CHECKING:
    from pcb_spark.serving.metrics import RequestMetrics


def errors(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe error answers of these statuses for OpenAPI."""
    retry = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        found[status.value] = {"model": wire.ErrorAnswer, "description": status.phrase}
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            found[status.value]["headers"] = retry
    return found


Handler = Callable[[Request, Exception], Response]


def refuse(metrics: RequestMetrics) -> Handler:
    """Answer with what a ``Refusal`` says."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return answer_with(request, error, metrics)

    return answer


def refuse_http(metrics: RequestMetrics) -> Handler:
    """Bring what the framework refuses, an unknown path or method, into the same form."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_")
        refusal = Refusal(status, code, error.detail, hint="the OpenAPI page at /docs has them all")
        return answer_with(request, refusal, metrics, headers=error.headers)

    return answer


def answer_with(
    request: Request, refusal: Refusal, metrics: RequestMetrics, *, headers: Any = None, **more: Any
) -> Response:
    """Answer with a refusal, and count it."""
    metrics.refused.labels(refusal.fault.code).inc()
    request.state.details = f"{getattr(request.state, 'details', '')} refused={refusal.fault.code}"
    return JSONResponse(
        body(refusal.fault, request.state.request_id) | more,
        refusal.status,
        headers={**refusal.headers, **(headers or {})},
    )
