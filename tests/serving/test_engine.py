from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Pair
from pcb_spark.serving.engine import Engine
from pcb_spark.serving.metrics import Metrics

T = TypeVar("T")
PICTURE = np.zeros((3, 4, 4), dtype=np.uint8)


class Network:
    """Notes which images share a call; the score of an image is its number."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.calls: list[list[int]] = []
        self.scorer: Any = SimpleNamespace(probabilities=self.probabilities)

    def probabilities(self, pairs: Sequence[Pair]) -> list[float]:
        self.calls.append([int(pair.image[0, 0, 0]) for pair in pairs])
        return [float(pair.image[0, 0, 0]) for pair in pairs]


def pair(number: int, reference: Any = PICTURE) -> Pair:
    return Pair(PICTURE + np.uint8(number), reference)


def asked(
    metrics: Metrics, threads: int, wanted: Sequence[tuple[Any, Callable[[], Pair]]]
) -> list[float | BaseException]:
    """Ask for all; no thread is free before all wait."""
    go = threading.Event()
    first: Any = Network(batch=1)

    def hold() -> Pair:
        assert go.wait(30)
        return pair(0)

    async def ask() -> list[float | BaseException]:
        engine = Engine(threads, metrics)
        held = [engine.score(first, hold) for _ in range(threads)]
        waiting = [engine.score(*each) for each in wanted]
        answers = asyncio.gather(*held, *waiting, return_exceptions=True)
        await asyncio.sleep(0)
        go.set()
        found = await answers
        engine.close()
        return list(found[threads:])

    return asyncio.run(ask())


def test_what_waits_for_a_thread_shares_a_call_if_it_shares_a_reference() -> None:
    network, metrics = Network(batch=3), Metrics()
    one, other = PICTURE.copy(), PICTURE.copy()
    references = [one, one, other, one, one, one, other]
    pairs = [pair(number, own) for number, own in enumerate(references)]

    found = asked(metrics, 1, [(network, partial(Pair, *each)) for each in pairs])

    assert found == [0, 1, 2, 3, 4, 5, 6]
    assert network.calls == [[0, 1, 3], [4, 5], [2, 6]]
    assert metrics.registry.get_sample_value("pcb_batch_images_count") == 1 + 3


def test_two_models_never_share_a_call() -> None:
    old, new = Network(batch=8), Network(batch=8)
    found = asked(
        Metrics(), 1, [(model, partial(pair, n)) for n, model in enumerate([old, new] * 3)]
    )
    assert found == [0, 1, 2, 3, 4, 5]
    assert (old.calls, new.calls) == ([[0, 2, 4]], [[1, 3, 5]])


def test_model_whose_scores_depend_on_the_batch_gets_its_images_one_by_one() -> None:
    network = Network(batch=1)
    asked(Metrics(), 2, [(network, partial(pair, n)) for n in range(4)])
    assert sorted(network.calls) == [[0], [1], [2], [3]]


def test_image_that_cannot_be_read_keeps_nobody_waiting() -> None:
    def fail() -> Pair:
        raise ImageError("damaged_image", "as a test has it")

    network = Network(batch=8)
    broken, sound = asked(Metrics(), 1, [(network, fail), (network, lambda: pair(2))])
    assert isinstance(broken, ImageError)
    assert sound == 2
    assert network.calls == [[2]]


def test_fault_of_the_network_reaches_whoever_waits_and_nobody_else() -> None:
    def fail(_: Sequence[Pair]) -> list[float]:
        raise MemoryError

    broken = SimpleNamespace(batch=8, scorer=SimpleNamespace(probabilities=fail))
    first, second, third = asked(
        Metrics(),
        1,
        [(broken, lambda: pair(1)), (broken, lambda: pair(2)), (Network(8), lambda: pair(3))],
    )
    assert isinstance(first, MemoryError)
    assert isinstance(second, MemoryError)
    assert third == 3


def test_lone_image_is_scored_at_once_by_the_thread_that_read_it() -> None:
    threads: list[int] = []

    def work(answer: T) -> T:
        threads.append(threading.get_ident())
        return answer

    async def ask() -> list[float]:
        engine = Engine(2, Metrics())
        async with asyncio.timeout(30):
            found = [await engine.score(network, lambda: work(pair(7))) for _ in range(20)]
        engine.close()
        return found

    scorer = SimpleNamespace(probabilities=lambda pairs: work([7.0] * len(pairs)))
    network: Any = SimpleNamespace(batch=8, scorer=scorer)
    assert asyncio.run(ask()) == [7.0] * 20
    assert threads[::2] == threads[1::2]
