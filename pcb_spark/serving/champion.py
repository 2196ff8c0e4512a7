"""The model in charge, and how another takes its place while requests go on.

A request takes the model once and is decided by it alone. A new one is verified and made ready
beside the old one; only then does one assignment put it in charge. One that is refused changes
nothing, and why is said in the log, in the metrics and by ``GET /v1/model``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pcb_spark.core import memory
from pcb_spark.core.errors import BundleError

if TYPE_CHECKING:
    from pcb_spark.serving.metrics import Metrics
    from pcb_spark.serving.served import Served

log = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int, int], ...]

#: After an exchange, s: whatever the old model still decides is decided by then.
SETTLED: Final = 5.0


class Champion:
    """Serves the bundle at a path, which may be a link that is turned to another folder.

    Parameters
    ----------
    load : verifies the bundle at a path and makes it ready; raises ``BundleError``.
    allow_older : whether a bundle that was exported before the one in charge may take its place.

    Raises
    ------
    BundleError : of ``load``: a service starts with a model or not at all.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Served],
        metrics: Metrics,
        *,
        allow_older: bool = False,
    ) -> None:
        self._path = path
        self._load = load
        self._allow_older = allow_older
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._seen = stamp(path)
        self.current = load(path)
        self.refused: BundleError | None = None
        self._say_served()

    async def watch(self, seconds: float) -> None:
        """Take a new bundle when there is one, for ever."""
        while True:
            await asyncio.sleep(seconds)
            if await asyncio.to_thread(stamp, self._path) != self._seen:
                try:
                    await self.exchange()
                except BundleError:
                    continue  # said already; the next change is the next try

    async def exchange(self) -> Served:
        """Serve what lies at the path now.

        Raises
        ------
        BundleError : it is refused, and the model of before goes on.
        """
        async with self._one_at_a_time:
            self._seen = await asyncio.to_thread(stamp, self._path)
            try:
                self.current = await asyncio.to_thread(self._newer)
            except BundleError as error:
                self.refused = error
                self._metrics.swaps.labels("refused").inc()
                version = self.current.manifest.model_version
                log.error("new model refused, %s goes on: %s", version, error)
                raise
            finally:
                asyncio.get_running_loop().call_later(SETTLED, memory.give_back)
            self.refused = None
            self._metrics.swaps.labels("served").inc()
            self._say_served()
            return self.current

    def _newer(self) -> Served:
        try:
            found = self._load(self._path)
        except BundleError:
            raise
        except Exception as error:
            what, got = f"{self._path} can't be loaded", f"{type(error).__name__}: {error}"
            raise BundleError(what, got=got, hint="copy the whole bundle again") from error
        if found.exported_at < self.current.exported_at and not self._allow_older:
            raise BundleError(
                "the bundle is older than the one that is served",
                expected=f"one of {self.current.exported_at.isoformat()} or later",
                got=found.exported_at.isoformat(),
                hint="export it again, or start the service with --allow-older",
            )
        return found

    def _say_served(self) -> None:
        about = self.current.manifest
        self._metrics.serves(about.model_version, about.model_sha256)
        log.info(
            "serving model %s (sha256 %s), %d images a call",
            about.model_version, about.model_sha256, self.current.batch,
        )  # fmt: skip


def stamp(path: Path) -> Stamp:
    """Tell what lies at a path from what lay there before, without reading it."""
    found = []
    try:
        real = path.resolve()
        for file in sorted(real.rglob("*")) if real.is_dir() else [real]:
            about = file.stat()
            found.append((str(file), about.st_ino, about.st_size, about.st_mtime_ns))
    except OSError:
        return ()  # it is being exchanged; the next look sees what came of it
    return tuple(found)
