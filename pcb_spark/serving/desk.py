"""What the requests of the review page share: the store, the items, and who may do what."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, Request
from sqlalchemy import exc

from pcb_spark.core.errors import InputError
from pcb_spark.review import items, queue
from pcb_spark.serving.metrics import ReviewMetrics
from pcb_spark.serving.refusals import Refusal
from pcb_spark.serving.visitors import Reception, Visitor

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from starlette.types import Lifespan

    from pcb_spark.review.pseudonyms import Pseudonyms
    from pcb_spark.serving import keys
    from pcb_spark.serving.review_settings import ReviewSettings

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10.0


class Desk:
    """All that requests share.

    Parameters
    ----------
    folder : where ``pcb-spark review-queue`` puts folders of items.
    ring : the API keys; None: only a proxy lets in.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        settings: ReviewSettings,
        ring: keys.KeyRing | None,
        pseudonyms: Pseudonyms,
    ) -> None:
        self.engine = engine
        self.folder = folder.resolve()
        self.settings = settings
        self.reception = Reception(engine, settings, ring, pseudonyms)
        self.groups = {
            name: frozenset(map(pseudonyms.of, people)) for name, people in settings.groups.items()
        }
        self.metrics = ReviewMetrics()
        self.dice = random.Random()
        self._loaded: set[str] = set()

    def load_new(self) -> None:
        """Load the folders that have come since; one that can't be read is told once."""
        for folder in items.folders(self.folder):
            if folder.name in self._loaded:
                continue
            self._loaded.add(folder.name)
            try:
                new = queue.load(self.engine, items.read(folder))
            except InputError as error:
                log.error("%s", error)
                continue
            log.info("%d items from %s", new, folder.name)

    def lifespan(self) -> Lifespan[FastAPI]:
        """Look for new items as long as the application runs."""

        @contextlib.asynccontextmanager
        async def running(_: FastAPI) -> AsyncGenerator[None, None]:
            await asyncio.to_thread(self.load_new)
            looking = asyncio.create_task(self._look())
            yield
            looking.cancel()

        return running

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.load_new)
            except exc.SQLAlchemyError as error:
                self._loaded.clear()
                log.error("no items can be loaded now: %s", error)

    def may(self, *roles: str) -> Any:
        """Let visitors of one of these roles in."""

        def admit(request: Request) -> Visitor:
            visitor = self.reception.visitor(request)
            if not visitor.roles & set(roles):
                raise Refusal(
                    HTTPStatus.FORBIDDEN, "wrong_scope", "your role may not do that",
                    expected=f"role {' or '.join(roles)}", got=", ".join(sorted(visitor.roles)),
                )  # fmt: skip
            return visitor

        return Depends(admit)
