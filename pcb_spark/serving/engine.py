"""Threads that read pairs and run the network; inspections of one reference share a call.

A thread reads a pair, lets it wait, and asks for a turn of the network behind whatever is asked
already; where nothing is, it takes the turn itself. A turn takes what waits by then. So nothing
ever waits for company: a lone image is scored at once, and batches grow with the load. Only what
has the very same reference, after alignment, is put together, and only up to the size at which a
model was seen to give every image the bits that it gets alone (``served.agreeing_batch``).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from pcb_spark.core.pairs import Pair
    from pcb_spark.serving.metrics import Metrics
    from pcb_spark.serving.served import Served

T = TypeVar("T")
Place = tuple[int, int]


class _Waiting(NamedTuple):
    model: Served
    pair: Pair
    answer: Future[float]


class Engine:
    """Runs the work of one service.

    Parameters
    ----------
    threads : at work at the same time.
    """

    def __init__(self, threads: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pcb")
        self._waiting: dict[Place, deque[_Waiting]] = {}
        self._asked = 0  # reads and turns that no thread has begun
        self._lock = threading.Lock()

    async def score(self, model: Served, read: Callable[[], Pair]) -> float:
        """Get the probability of one pair, from a call that others may share.

        Parameters
        ----------
        read : decodes and aligns; what it raises is raised here.
        """
        answer: Future[float] = Future()
        self._ask(self._read, model, read, answer)
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True)

    def _ask(self, work: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            self._asked += 1
        self._pool.submit(self._begin, work, *arguments)

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            self._asked -= 1
        work(*arguments)

    def _read(self, model: Served, read: Callable[[], Pair], answer: Future[float]) -> None:
        if not answer.set_running_or_notify_cancel():
            return  # whoever asked has gone
        try:
            pair = self._timed("read", read)
        except Exception as error:  # noqa: BLE001  who waits has to be told, whatever it is
            answer.set_exception(error)
            return
        place = id(model), id(pair.reference)  # neither can go while it waits here
        with self._lock:
            self._waiting.setdefault(place, deque()).append(_Waiting(model, pair, answer))
            is_next = not self._asked
        if is_next:
            self._take_turn()
        else:
            self._ask(self._take_turn)

    def _take_turn(self) -> None:
        """Run the network once, unless an earlier turn took what this one was for."""
        together = self._next()
        if not together:
            return
        self._metrics.batch.observe(len(together))
        scorer, pairs = together[0].model.scorer, [each.pair for each in together]
        try:
            found = self._timed("network", lambda: scorer.probabilities(pairs))
        except Exception as error:  # noqa: BLE001  who waits has to be told, whatever it is
            for each in together:
                each.answer.set_exception(error)
            return
        for each, probability in zip(together, found, strict=True):
            each.answer.set_result(probability)

    def _next(self) -> list[_Waiting]:
        """Take of the pairs that wait longest as many as may share a call."""
        with self._lock:
            if not self._waiting:
                return []
            place, queue = next(iter(self._waiting.items()))
            together = [queue.popleft() for _ in range(min(len(queue), queue[0].model.batch))]
            if not queue:
                del self._waiting[place]
            return together

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._metrics.stages.labels(stage).observe(time.perf_counter() - began)
