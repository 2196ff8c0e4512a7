"""Threads that read pairs and run the network; inspections of one reference share a call.

A call begins as soon as a thread is free, with what waits by then: nothing waits for company, so
that a lone request is answered at once, and batches grow with the load. Only what has the very same
reference, after alignment, is put together, and only up to the size at which a model was seen to
give every image the bits that it gets alone (``served.agreeing_batch``).

Everything but the work itself happens on the event loop's thread, so there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from pcb_spark.core.pairs import Pair
    from pcb_spark.serving.metrics import Metrics
    from pcb_spark.serving.served import Served

T = TypeVar("T")
Place = tuple[int, int]


class _Waiting(NamedTuple):
    model: Served
    pair: Pair
    answer: asyncio.Future[float]


class Engine:
    """Runs the work of one service.

    Parameters
    ----------
    threads : at work at the same time.
    """

    def __init__(self, threads: int, metrics: Metrics) -> None:
        self._threads = threads
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pcb")
        self._waiting: dict[Place, deque[_Waiting]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def read(self, work: Callable[[], T]) -> T:
        """Do what comes before the network: decode and align."""
        return await self._do("read", work)

    async def probability(self, model: Served, pair: Pair) -> float:
        """Get the score of one pair, from a call that others may share."""
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        place = id(model), id(pair.reference)  # neither can go while it waits here
        self._waiting.setdefault(place, deque()).append(_Waiting(model, pair, answer))
        self._go_on()
        return await answer

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True)

    def _go_on(self) -> None:
        while self._waiting and len(self._calls) < self._threads:
            place, queue = next(iter(self._waiting.items()))
            together = [queue.popleft() for _ in range(min(len(queue), queue[0].model.batch))]
            if not queue:
                del self._waiting[place]
            call = asyncio.get_running_loop().create_task(self._run(together))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._go_on()

    async def _run(self, together: list[_Waiting]) -> None:
        model, pairs = together[0].model, [each.pair for each in together]
        self._metrics.batch.observe(len(pairs))
        try:
            found = await self._do("network", lambda: model.scorer.probabilities(pairs))
        except Exception as error:  # noqa: BLE001  who waits has to be told, whatever it is
            for each in together:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        for each, probability in zip(together, found, strict=True):
            if not each.answer.done():  # its client may have gone
                each.answer.set_result(probability)

    async def _do(self, stage: str, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._timed, stage, work)

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._metrics.stages.labels(stage).observe(time.perf_counter() - began)
