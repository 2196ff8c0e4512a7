from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pcb_spark.core.pairs import Pair
from pcb_spark.serving.engine import Engine
from pcb_spark.serving.metrics import Metrics

PICTURE = np.zeros((3, 4, 4), dtype=np.uint8)


class Network:
    """Notes which images share a call; the first call waits until it is let go."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.calls: list[list[int]] = []
        self.go = threading.Event()
        self.scorer: Any = SimpleNamespace(probabilities=self.probabilities)

    def probabilities(self, pairs: Sequence[Pair]) -> list[float]:
        self.calls.append([int(pair.image[0, 0, 0]) for pair in pairs])
        assert self.go.wait(30)
        return [float(pair.image[0, 0, 0]) for pair in pairs]


def pair(number: int, reference: Any) -> Pair:
    return Pair(PICTURE + np.uint8(number), reference)


async def asked(engine: Engine, pairs: Sequence[tuple[Any, Pair]]) -> list[float]:
    """Ask for all at once, and let the first call go when all others wait."""
    waiting = [asyncio.ensure_future(engine.probability(*each)) for each in pairs]
    await asyncio.sleep(0)
    for model in {id(model): model for model, _ in pairs}.values():
        model.go.set()
    return list(await asyncio.gather(*waiting))


def test_what_waits_for_a_thread_shares_a_call_if_it_shares_a_reference() -> None:
    network, metrics = Network(batch=3), Metrics()
    one, other = PICTURE.copy(), PICTURE.copy()
    references = [one, one, other, one, one, one, other]
    engine = Engine(1, metrics)

    found = asyncio.run(
        asked(engine, [(network, pair(n, own)) for n, own in enumerate(references)])
    )

    engine.close()
    assert found == [0, 1, 2, 3, 4, 5, 6]
    assert network.calls[0] == [0]
    assert sorted(network.calls[1:]) == [[1, 3, 4], [2, 6], [5]]
    assert metrics.registry.get_sample_value("pcb_batch_images_count") == 4


def test_two_models_never_share_a_call() -> None:
    old, new = Network(batch=8), Network(batch=8)
    engine = Engine(1, Metrics())
    reference = PICTURE.copy()
    found = asyncio.run(
        asked(engine, [(model, pair(n, reference)) for n, model in enumerate([old, new] * 3)])
    )
    engine.close()
    assert found == [0, 1, 2, 3, 4, 5]
    assert sorted(old.calls) == [[0], [2, 4]]
    assert new.calls == [[1, 3, 5]]


def test_model_whose_scores_depend_on_the_batch_gets_its_images_one_by_one() -> None:
    network = Network(batch=1)
    engine = Engine(2, Metrics())
    asyncio.run(asked(engine, [(network, pair(n, PICTURE)) for n in range(4)]))
    engine.close()
    assert sorted(network.calls) == [[0], [1], [2], [3]]


def test_fault_of_the_network_reaches_whoever_waits_and_nobody_else() -> None:
    def fail(_: Sequence[Pair]) -> list[float]:
        raise MemoryError

    async def both() -> float:
        with pytest.raises(MemoryError):
            await engine.probability(broken, pair(1, PICTURE))
        return (await asked(engine, [(Network(batch=8), pair(2, PICTURE))]))[0]

    broken: Any = SimpleNamespace(batch=8, scorer=SimpleNamespace(probabilities=fail))
    engine = Engine(1, Metrics())
    assert asyncio.run(both()) == 2
    engine.close()
