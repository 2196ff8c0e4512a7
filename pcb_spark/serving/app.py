"""The service as an ASGI application: routes, and what they answer when something is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import fastapi_offline
from fastapi import Depends, FastAPI, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

import pcb_spark
from pcb_spark.core.errors import BundleError
from pcb_spark.serving import answers, gate, keys, uploads, wire
from pcb_spark.serving.champion import Champion
from pcb_spark.serving.engine import Engine
from pcb_spark.serving.golden import GoldenImages
from pcb_spark.serving.inspection import Inspector, unreadable
from pcb_spark.serving.metrics import Metrics
from pcb_spark.serving.references import ReferenceStore
from pcb_spark.serving.refusals import Refusal
from pcb_spark.serving.watched import Watched

if TYPE_CHECKING:
    from starlette.types import Lifespan

    from pcb_spark.serving.served import Served
    from pcb_spark.serving.settings import Settings

_BEARER = HTTPBearer(auto_error=False, description="An API key, `pcb_…`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]

_ABOUT = """Decides about component images as the nightly job on Spark does, bit for bit.

Every request to `/v1` needs an API key: `Authorization: Bearer pcb_…`.
"""


class Service:
    """All that requests share.

    Parameters
    ----------
    load : makes the bundle at a path ready; raises ``BundleError``.
    ring : the API keys; None: everybody may do all.
    golden : a folder with the golden images of images that name no reference.

    Raises
    ------
    BundleError : the first model is refused.
    InputError : that folder doesn't say which image is good for what.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Served],
        settings: Settings,
        ring: keys.KeyRing | None,
        *,
        allow_older: bool = False,
        golden: Path | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.champion = Champion(path, load, self.metrics, allow_older=allow_older)
        self.engine = Engine(settings.threads, self.metrics)
        store = ReferenceStore(settings.reference_bytes, self.metrics)
        self.inspector = Inspector(self.engine, store, self.metrics, self._checked(golden))
        self.doorkeeper = gate.Doorkeeper(ring)
        self.rate = gate.RateLimit(settings.rate)
        self.turnstile = gate.Turnstile(settings.requests, self.metrics)

    def _checked(self, folder: Path | None) -> GoldenImages | None:
        if folder is None:
            return None
        golden = GoldenImages(folder)
        golden.check(self.champion.current.decider.manifest.habits)
        return golden

    def lifespan(self) -> Lifespan[FastAPI]:
        """Watch for new models as long as the application runs."""

        @contextlib.asynccontextmanager
        async def running(_: FastAPI) -> AsyncGenerator[None, None]:
            watching = asyncio.create_task(self.champion.watch(self.settings.watch_seconds))
            yield
            watching.cancel()
            self.engine.close()

        return running

    def may(self, *scopes: str) -> Any:
        """Let keys with one of these scopes in; ``request.state.key`` is whose it was."""

        async def admit(request: Request, credentials: Credentials) -> None:
            token = None if credentials is None else credentials.credentials
            request.state.key = self.doorkeeper.admit(token, scopes)
            request.state.details = f" key={request.state.key.id}"

        return Depends(admit)


def build(service: Service) -> FastAPI:
    """Build the application around a service."""
    app = fastapi_offline.FastAPIOffline(
        docs_url="/docs", redoc_url=None, static_url="/docs/assets", title="pcb_spark",
        version=pcb_spark.__version__, description=_ABOUT, lifespan=service.lifespan(),
        swagger_ui_parameters={"validatorUrl": None},
    )  # fmt: skip
    app.add_middleware(Watched, metrics=service.metrics)
    app.add_exception_handler(Refusal, answers.refuse(service.metrics))
    app.add_exception_handler(HTTPException, answers.refuse_http(service.metrics))
    _add_inspect(app, service)
    _add_model(app, service)
    _add_health(app, service)
    app.openapi()["components"]["schemas"] |= wire.schemas()
    return app


_KEYED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def _add_inspect(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/inspect", tags=["images"], summary="Decide about images",
        response_model=wire.InspectAnswer,
        responses=answers.errors(
            *_KEYED, HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        dependencies=[service.may(keys.SCORE)],
        openapi_extra={"requestBody": wire.inspect_body(service.settings.images)},
    )  # fmt: skip
    async def inspect(request: Request) -> Response:
        key: keys.Key = request.state.key
        service.rate.take(key.id)
        with service.turnstile.passed():
            asked = await uploads.read(request, service.settings)
            model = service.champion.current
            told = keys.REVIEW in key.scopes
            results = await service.inspector.inspect(model, asked, told=told)
        request.state.details += f" images={len(asked)} model={model.manifest.model_version}"
        refusal = unreadable(asked, results)
        if refusal is not None:
            listed = [each.model_dump() for each in results]
            return answers.answer_with(request, refusal, service.metrics, results=listed)
        answer = wire.InspectAnswer(
            request_id=request.state.request_id,
            model_version=model.manifest.model_version,
            model_sha256=model.manifest.model_sha256,
            share_cap=_capped(model),
            results=results,
        )
        return Response(answer.model_dump_json(), media_type=uploads.JSON)


def _add_model(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/model", tags=["model"], response_model=wire.ModelAnswer, summary="Which model decides",
        responses=answers.errors(*_KEYED), dependencies=[service.may(*keys.SCOPES)],
    )  # fmt: skip
    async def model() -> wire.ModelAnswer:
        return _described(service.champion)

    @app.post(
        "/v1/model/reload", tags=["model"], response_model=wire.ModelAnswer,
        summary="Take the bundle that lies in its place now, without waiting for the next look",
        responses=answers.errors(*_KEYED, HTTPStatus.CONFLICT),
        dependencies=[service.may(keys.ADMIN)],
    )  # fmt: skip
    async def reload() -> wire.ModelAnswer:
        try:
            await service.champion.exchange()
        except BundleError as error:
            raise Refusal(
                HTTPStatus.CONFLICT, "model_refused", error.what, expected=error.expected,
                got=error.got, hint=error.hint,
            ) from None  # fmt: skip
        return _described(service.champion)


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["health"], summary="Whether the process lives")
    async def healthz() -> wire.Health:
        return wire.Health(status="ok")

    @app.get("/readyz", tags=["health"], summary="Whether it has a model and room for a request",
             responses=answers.errors(HTTPStatus.SERVICE_UNAVAILABLE))  # fmt: skip
    async def readyz() -> wire.Health:
        with service.turnstile.passed():
            return wire.Health(status="ready")

    @app.get(
        "/metrics", tags=["health"], summary="Figures for Prometheus", response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _described(champion: Champion) -> wire.ModelAnswer:
    served, refused = champion.current, champion.refused
    about = served.manifest
    return wire.ModelAnswer(
        model_version=about.model_version,
        model_sha256=about.model_sha256,
        feature_set=about.feature_set,
        precision=about.precision,
        trained_backbone=about.trained_backbone,
        compares=about.difference,
        threshold=served.pooled_threshold,
        share_cap=_capped(served),
        trained_at=about.created_at,
        exported_at=served.exported_at,
        loaded_at=served.loaded_at,
        batch=served.batch,
        refused=None if refused is None else wire.FaultAnswer(
            code="model_refused", what=refused.what, hint=refused.hint,
            expected=None if refused.expected is None else str(refused.expected),
            got=None if refused.got is None else str(refused.got),
        ),
    )  # fmt: skip


def _capped(served: Served) -> wire.ShareCapAnswer | None:
    cap = served.share_cap
    return (
        None
        if cap is None
        else wire.ShareCapAnswer(night=date.fromisoformat(cap.night), sha256=cap.sha256)
    )
