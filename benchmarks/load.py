"""The web service at twice its capacity, with another model in the middle.

    python -m benchmarks.load out/run [--seconds 300]

measures how many pairs a second ``pcb-serve`` answers, then asks for twice as many, whatever it
answers, and turns the link to the bundle halfway. Every answer has to be 200 or 503 with
Retry-After, and every decision has to be that of the model that the answer names, to the last bit.
It ends with 1 where that isn't so.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import onnx

from benchmarks import running, service
from pcb_spark.core import bundle, linear
from pcb_spark.core.scorer import Scorer
from pcb_spark.network import classifiers, graphs

_PAIRS = 24
_CLIENTS = 32
#: Seconds that a new model may take beyond the time, on a machine whose cores are all at work.
_PATIENCE = 60.0
_LIMITS = ("--max-requests", "8", "--watch-seconds", "0.2", "--without-keys", "--port", "0")
#: Of memory at the end, against that after the first fifth.
MOST_GROWTH = 1.1

#: Probability and decision of each pair, by the hash of the model.
Expected = Mapping[str, Sequence[tuple[float | None, str]]]


@dataclass
class Outcome:
    """What came of all requests.

    Attributes
    ----------
    statuses : how many answers had which status; 0 is a connection that broke.
    models : how many decisions each model made, by its hash.
    mixed : decisions that aren't those of the model that the answer names.
    rude : answers 503 without ``Retry-After``.
    waited : ms of those that were answered 200.
    resident : MB of the service, second by second.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    rude: int = 0
    waited: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory of the last fifth of the time against that of the second one; medians."""
        fifth = len(self.resident) // 5
        if not fifth:
            return 1.0
        before, after = self.resident[fifth : 2 * fifth], self.resident[-fifth:]
        return statistics.median(after) / statistics.median(before)

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        others = {status: n for status, n in self.statuses.items() if status not in (200, 503)}
        found = {
            f"other answers: {others}": bool(others),
            f"decisions of no model: {self.mixed}": self.mixed > 0,
            f"503 without Retry-After: {self.rude}": self.rude > 0,
            f"models that decided: {len(self.models)}, not 2": len(self.models) != 2,
            f"memory grew to {self.growth:.2f} times": self.growth > MOST_GROWTH,
        }
        return [what for what, is_so in found.items() if is_so]


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the service and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("out", type=Path, help="folder with images/ and bundle/")
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args(arguments)
    pairs = service.read_pairs(options.out / "images", _PAIRS)
    first = bundle.read(options.out / "bundle")
    with tempfile.TemporaryDirectory() as scratch:
        rate, outcome = load(first, pairs, Path(scratch), options.seconds)
    sys.stdout.write(report(rate, outcome, options.seconds))
    return int(bool(outcome.faults))


def load(
    first: bundle.Bundle, pairs: Sequence[service.Files], scratch: Path, seconds: float
) -> tuple[float, Outcome]:
    """Pairs a second that it can, and what came of twice as many."""
    second = other_model(first)
    expected = {each.manifest.model_sha256: told(each, pairs) for each in (first, second)}
    link = scratch / "champion"
    folders = []
    for name, model in (("first", first), ("second", second)):
        (scratch / name).mkdir()
        flags = running.seal(model, pairs[:3], scratch / name)
        folders.append((scratch / name / "edge", flags[-1]))
    link.symlink_to(folders[0][0])
    trust = [word for _, key in folders for word in ("--trust", key)]
    command = ["-c", running.SERVICE, "start", "--bundle", str(link), *trust, *_LIMITS]
    with running.started(command, scratch / "log") as (address, pid):
        rate = capacity(address, pairs)
        outcome = Outcome()
        with watched(pid, outcome), swapped(link, folders[1][0], seconds / 2):
            ask(address, pairs, expected, outcome, rate=2 * rate, seconds=seconds)
    return rate, outcome


def told(model: bundle.Bundle, pairs: Sequence[service.Files]) -> list[tuple[float | None, str]]:
    """Probability and decision of each pair."""
    scores = itertools.starmap(Scorer(model).score, pairs)
    return [(score.probability, score.decision) for score in scores]


def other_model(model: bundle.Bundle) -> bundle.Bundle:
    """The same model but for its line, which says something else of every image."""
    converted, beside, image = classifiers.of_bundle(model)
    width = model.manifest.feature_count - (0 if image is None else image.width)
    if beside is None:
        beside = linear.Linear(
            weights=np.zeros(width, np.float32), bias=0.0, center=np.zeros(width, np.float32),
            most=np.ones(width, np.float32),
        )  # fmt: skip
    moved = dataclasses.replace(beside, bias=beside.bias + 1.0)
    features = onnx.load_from_string(model.parts[bundle.FEATURES])
    graph = graphs.scoring_graph(features, converted, moved, image).SerializeToString()
    manifest = dataclasses.replace(
        model.manifest, model_version="second", model_sha256=bundle.sha256(graph)
    )
    return bundle.Bundle(manifest=manifest, parts={**model.parts, bundle.GRAPH: graph})


def capacity(address: str, pairs: Sequence[service.Files]) -> float:
    """Pairs a second that are answered to a few clients who each wait for their answer."""
    prepare = service.of_service(address, "/v1/inspect", pairs)
    rates = []
    for _ in range(3):
        took, waited = service.asked(prepare, len(pairs), 4)
        rates.append(len(waited) / took)
    return statistics.median(rates)


def ask(
    address: str,
    pairs: Sequence[service.Files],
    expected: Expected,
    outcome: Outcome,
    *,
    rate: float,
    seconds: float,
) -> None:
    """Send so many requests a second for so long, and until every model has decided."""
    began, lock, numbers = time.perf_counter(), threading.Lock(), itertools.count()
    bodies = [service.form(pair) for pair in pairs]

    def work() -> None:
        client = _Client(address)
        while True:
            with lock:
                number = next(numbers)
            due = began + number / rate
            late = due - began - seconds
            if late > _PATIENCE or (late > 0 and len(outcome.models) == len(expected)):
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            status, headers, said = client.post(bodies[number % len(bodies)])
            took = 1000 * (time.perf_counter() - sent)
            with lock:
                note(outcome, status, headers, said, expected, number % len(bodies), took)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for each in [pool.submit(work) for _ in range(_CLIENTS)]:
            each.result()


def note(
    outcome: Outcome,
    status: int,
    headers: Mapping[str, str],
    said: bytes,
    expected: Expected,
    number: int,
    took: float,
) -> None:
    """Count one answer."""
    outcome.statuses[status] += 1
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        outcome.rude += "retry-after" not in {name.lower() for name in headers}
    if status == HTTPStatus.OK:
        answer: dict[str, Any] = json.loads(said)
        (result,) = answer["results"]
        model = answer["model_sha256"]
        own = (result["probability"], result["decision"])
        outcome.models[model] += 1
        outcome.mixed += own != expected[model][number]
        outcome.waited.append(took)


class _Client:
    """One connection, which is made again where it broke."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; 0 where there is none."""
        try:
            self._connection.request("POST", "/v1/inspect", body, service.HEADERS)
            answer = self._connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, {}, b""


@contextmanager
def swapped(link: Path, to: Path, after: float) -> Iterator[None]:
    """Turn the link once so many seconds have gone."""

    def turn() -> None:
        beside = link.with_name("beside")
        beside.symlink_to(to)
        beside.replace(link)

    timer = threading.Timer(after, turn)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def watched(pid: int, outcome: Outcome) -> Iterator[None]:
    """Note the memory of a process every second."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            told = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            outcome.resident.append(int(told.partition("VmRSS:")[2].split()[0]) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def report(rate: float, outcome: Outcome, seconds: float) -> str:
    """Give it to read."""
    waited = np.array(outcome.waited or [0.0])
    answers = ", ".join(f"{n:,} x {status}" for status, n in sorted(outcome.statuses.items()))
    memory = outcome.resident or [0.0]
    lines = [
        f"capacity {rate:.1f} pairs/s; twice that asked for {seconds:.0f} s",
        f"answers: {answers}",
        f"decisions by model: {', '.join(f'{n:,}' for n in outcome.models.values())}; "
        f"by a mixture: {outcome.mixed}",
        f"200 waited p50 {np.percentile(waited, 50):.0f}, p99 {np.percentile(waited, 99):.0f} ms",
        f"memory {min(memory):.0f} to {max(memory):.0f} MB, x {outcome.growth:.2f}",
        *(f"FAIL: {fault}" for fault in outcome.faults),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
