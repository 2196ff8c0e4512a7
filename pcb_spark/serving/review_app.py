"""The review page as an ASGI application: items out, verdicts in, figures for the lead."""

from __future__ import annotations

import logging
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

import pcb_spark
from pcb_spark.review import items, known, queue, verdicts
from pcb_spark.serving import answers, keys, lead_routes, review_wire, wire
from pcb_spark.serving.refusals import Refusal
from pcb_spark.serving.visitors import COOKIE, Visitor
from pcb_spark.serving.watched import Watched

if TYPE_CHECKING:
    from pcb_spark.serving.desk import Desk
    from pcb_spark.serving.metrics import ReviewMetrics

log = logging.getLogger(__name__)

_PAGE: Final = Path(__file__).parent / "page"
#: Nothing is loaded from elsewhere, and nobody shows the page inside another one.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_REVIEWING: Final = (keys.OPERATOR, keys.LEAD)
_STATUS: Final = {verdicts.UNKNOWN_ITEM: HTTPStatus.NOT_FOUND}


def build(desk: Desk) -> FastAPI:
    """Build the application around a desk."""
    app = FastAPI(
        title="pcb_spark review", version=pcb_spark.__version__, docs_url=None, redoc_url=None,
        lifespan=desk.lifespan(),
    )  # fmt: skip
    app.add_middleware(Watched, metrics=desk.metrics, headers=_HEADERS)
    app.add_exception_handler(Refusal, answers.refuse(desk.metrics))
    app.add_exception_handler(HTTPException, answers.refuse_http(desk.metrics))
    app.add_exception_handler(RequestValidationError, _refuse_form(desk.metrics))
    app.add_exception_handler(exc.OperationalError, _apologise(desk.metrics))
    _add_visits(app, desk)
    _add_items(app, desk)
    _add_entries(app, desk)
    lead_routes.add(app, desk)
    lead_routes.add_groups(app, desk)
    lead_routes.add_golden(app, desk)
    lead_routes.add_brake(app, desk)
    _add_health(app, desk)
    _add_page(app)
    return app


def _add_visits(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/session", status_code=HTTPStatus.NO_CONTENT)
    def log_in(told: review_wire.LogIn, request: Request, response: Response) -> None:
        secret = desk.reception.log_in(told.key.strip())
        response.set_cookie(
            COOKIE, secret, max_age=desk.settings.session_hours * 3600, httponly=True,
            samesite="strict", secure=desk.reception.is_secure(request),
        )  # fmt: skip

    @app.delete("/v1/session", status_code=HTTPStatus.NO_CONTENT)
    def log_out(request: Request, response: Response) -> None:
        desk.reception.log_out(request)
        response.delete_cookie(COOKIE)

    anybody = desk.may(*keys.ROLES)

    @app.get("/v1/review/setup")
    def setup(visitor: Visitor = anybody) -> review_wire.Setup:
        return review_wire.Setup(
            keys=desk.settings.all_keys(), kinds=list(desk.settings.kinds),
            roles=sorted(visitor.roles), ahead=desk.settings.ahead,
            lease_seconds=desk.settings.lease_seconds, operator=visitor.operator_id,
        )  # fmt: skip


def _add_items(app: FastAPI, desk: Desk) -> None:
    may_review, anybody = desk.may(*_REVIEWING), desk.may(*keys.ROLES)

    @app.post("/v1/review/items")
    def give(asked: review_wire.Asking, visitor: Visitor = may_review) -> review_wire.Given:
        page = queue.Page(page=asked.page, operator_id=visitor.operator_id)
        granted, held = queue.grant(
            desk.engine, page, held=asked.held, want=asked.want,
            seconds=desk.settings.lease_seconds,
        )  # fmt: skip
        mixed = known.mix(desk.engine, page, granted, desk.settings.known_defect_rate, desk.dice)
        waiting = queue.left(desk.engine)
        desk.metrics.waiting.set(waiting)
        return review_wire.Given(
            items=[_shown(each) for each in mixed],
            held=[*held, *known.still_shown(desk.engine, page, asked.held)], waiting=waiting,
        )  # fmt: skip

    @app.post("/v1/review/leave", status_code=HTTPStatus.NO_CONTENT)
    def leave(told: review_wire.Leaving, visitor: Visitor = may_review) -> None:
        page = queue.Page(page=told.page, operator_id=visitor.operator_id)
        queue.release(desk.engine, page)
        known.release(desk.engine, page)

    @app.get("/v1/review/items/{item_id}/{which}", response_class=FileResponse)
    def picture(item_id: str, which: str, _: Visitor = anybody) -> FileResponse:
        found = queue.pictures(desk.engine, item_id)
        name = found.file(which) if found else None
        path = (desk.folder / name).resolve() if name else desk.folder
        if not path.is_relative_to(desk.folder) or not path.is_file():
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "there is no such picture")
        return FileResponse(path, headers={"Cache-Control": "private, max-age=3600"})


def _add_entries(app: FastAPI, desk: Desk) -> None:
    may_review = desk.may(*_REVIEWING)

    @app.post("/v1/review/entries")
    def enter(said: review_wire.Said, visitor: Visitor = may_review) -> review_wire.Stored:
        page = queue.Page(page=said.page, operator_id=visitor.operator_id)
        entry = said.as_entry()
        try:
            if not known.answer(desk.engine, page, entry):
                looks = desk.settings.second_look_rate
                verdicts.enter(desk.engine, page, entry, second_looks=looks)
        except verdicts.Declined as declined:
            status = _STATUS.get(declined.code, HTTPStatus.CONFLICT)
            raise Refusal(status, declined.code, declined.what) from None
        desk.metrics.entries.labels(entry.state).inc()
        return review_wire.Stored(entry=entry.entry_id)


def _add_health(app: FastAPI, desk: Desk) -> None:
    @app.get("/healthz")
    def healthz() -> wire.Health:
        return wire.Health(status="ok")

    @app.get("/readyz")
    def readyz() -> wire.Health:
        queue.left(desk.engine)
        return wire.Health(status="ready")

    @app.get("/metrics", response_class=Response)
    def metrics() -> Response:
        return Response(desk.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def start() -> RedirectResponse:
        return RedirectResponse("/review/")

    app.mount("/review", StaticFiles(directory=_PAGE, html=True), name="page")


def _shown(granted: queue.Granted) -> dict[str, Any]:
    """An item as the page gets it: which pictures there are, not where they lie."""
    shown = asdict(granted)
    for which in items.PICTURES:
        shown["pictures"][which] = granted.pictures.file(which) is not None
    del shown["pictures"][items.ORIGINAL]
    return shown


def _refuse_form(metrics: ReviewMetrics) -> answers.Handler:
    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        refusal = Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_form", "the request says something else "
            "than it may", got="; ".join(found),
        )  # fmt: skip
        return answers.answer_with(request, refusal, metrics)

    return answer


def _apologise(metrics: ReviewMetrics) -> answers.Handler:
    """Have the page ask again where the store doesn't answer: nothing was acknowledged."""

    def answer(request: Request, error: Exception) -> Response:
        log.error("the verdict store doesn't answer: %s", error)
        refusal = Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "store_unreachable",
            "the verdict store doesn't answer", retry_after=1,
        )  # fmt: skip
        return answers.answer_with(request, refusal, metrics)

    return answer
