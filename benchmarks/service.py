"""The web service against ONNX Runtime alone, a plain FastAPI service and Ray Serve, in one run.

    python -m benchmarks.service out/demo

reads ``images`` and ``bundle`` of an output, and asks each way for the same pairs, one at a time
and sixteen at a time. The ways take turns. A request is one pair; clients are threads of this
process, on the same cores, with connections that stay open.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow_hotfix  # noqa: F401
from pyarrow import parquet

from benchmarks import running
from pcb_spark.core import batches, bundle, machine, sessions
from pcb_spark.core.pairs import Pair, PairReader
from pcb_spark.core.scorer import Scorer

CONCURRENCY = (1, 16)
_BOUNDARY = "pcb-spark-benchmark"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

Files = tuple[bytes, bytes]
#: Scores the pair of this number; made once a thread.
Call = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One way at one concurrency: medians of rounds of ``n`` pairs; ms a pair as a client waits."""

    way: str
    concurrency: int
    pairs_per_s: float
    p50_ms: float
    p99_ms: float
    n: int
    rounds: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("output", type=Path, help="folder with images/ and bundle/")
    parser.add_argument("--pairs", type=int, default=200, help="of one round (200)")
    parser.add_argument("--rounds", type=int, default=3, help="the ways take turns (3)")
    parser.add_argument("--ray", type=Path, help="a Python that has Ray Serve, to compare with")
    parser.add_argument("--to", type=Path, default=Path("out/bench/service.json"))
    options = parser.parse_args(arguments)
    model = bundle.read(options.output / "bundle")
    pairs = read_pairs(options.output / "images", options.pairs)
    with ways(model, options.output / "bundle", pairs, options.ray) as made:
        figures = measure(made, len(pairs), options.rounds)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    about = {"machine": machine.describe(), "at": datetime.now(UTC).isoformat()}
    options.to.write_text(json.dumps({**about, "figures": [asdict(f) for f in figures]}, indent=2))
    sys.stdout.write(table(figures))
    return 0


def read_pairs(folder: Path, count: int) -> list[Files]:
    """The first pairs of the table ``images``."""
    rows = (
        row
        for file in sorted(folder.rglob("*.parquet"))
        for row in parquet.ParquetFile(file).read(columns=["image", "reference"]).to_pylist()
    )
    whole = ((row["image"], row["reference"]) for row in rows if row["reference"])
    return list(itertools.islice(whole, count))


def measure(made: dict[str, Callable[[], Call]], n: int, rounds: int) -> list[Figure]:
    """Ask every way in turn."""
    found: dict[tuple[str, int], list[tuple[float, list[float]]]] = {}
    for _ in range(rounds):
        for concurrency in CONCURRENCY:
            for way, prepare in made.items():
                timed = asked(prepare, n, concurrency)
                found.setdefault((way, concurrency), []).append(timed)
    return [
        Figure(
            way=way, concurrency=concurrency, n=n, rounds=rounds,
            pairs_per_s=statistics.median(n / seconds for seconds, _ in timed),
            p50_ms=statistics.median(float(np.quantile(each, 0.5)) for _, each in timed),
            p99_ms=statistics.median(float(np.quantile(each, 0.99)) for _, each in timed),
        )
        for (way, concurrency), timed in found.items()
    ]  # fmt: skip


def asked(prepare: Callable[[], Call], n: int, concurrency: int) -> tuple[float, list[float]]:
    """Ask for all pairs by so many threads: seconds altogether, and ms of each."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(n):
        numbers.put(number)
    waited: list[float] = []
    ready = threading.Barrier(concurrency, action=lambda: started.append(time.perf_counter()))
    started: list[float] = []

    def work() -> None:
        try:
            call = prepare()
            call(0)
        except BaseException:
            ready.abort()
            raise
        ready.wait()
        with contextlib.suppress(queue.Empty):
            while True:
                number = numbers.get_nowait()
                began = time.perf_counter()
                call(number)
                waited.append((time.perf_counter() - began) * 1000)

    with ThreadPoolExecutor(concurrency) as pool:
        done = wait([pool.submit(work) for _ in range(concurrency)]).done
    faults = [fault for each in done if (fault := each.exception())]
    causes = [fault for fault in faults if not isinstance(fault, threading.BrokenBarrierError)]
    if faults:
        raise (causes or faults)[0]
    return time.perf_counter() - started[0], waited


@contextlib.contextmanager
def ways(
    model: bundle.Bundle, folder: Path, pairs: Sequence[Files], ray: Path | None = None
) -> Iterator[dict[str, Callable[[], Call]]]:
    """Each way of scoring a pair; services run as long as this does.

    ``ray`` is a Python that has Ray Serve.
    """
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as started:
        scratch = Path(name)
        bundle_flags = running.seal(model, pairs[:3], scratch)
        plain = started.enter_context(
            running.serving(["-m", "benchmarks.plain_service", str(folder)], scratch / "plain")
        )
        flags = [*bundle_flags, "--without-keys", "--port", "0"]
        command = ["-c", running.SERVICE, "start", *flags]
        own = started.enter_context(running.serving(command, scratch / "own"))
        made = {
            "onnxruntime alone, packed": of_graph(model, pairs),
            "core.scorer, no HTTP": of_core(model, pairs),
            "plain FastAPI": of_service(plain, "/predict", pairs),
            "pcb-serve": of_service(own, "/v1/inspect", pairs),
        }
        if ray is not None and ray.exists():
            ray_command = ["-m", "benchmarks.ray_serve", str(folder.resolve())]
            peer = started.enter_context(running.serving(ray_command, scratch / "ray", python=ray))
            made["Ray Serve"] = of_service(peer, "/predict", pairs)
        yield made


def of_graph(model: bundle.Bundle, pairs: Sequence[Files]) -> Callable[[], Call]:
    """The limit: sessions of one thread, as many at a time as there are cores."""
    read = PairReader(model.manifest.reading).read
    inputs = [fed(read(*pair)) for pair in pairs]
    session = sessions.of(model.parts[bundle.GRAPH])
    cores = threading.Semaphore(len(os.sched_getaffinity(0)))

    def call(number: int) -> object:
        with cores:
            return session.run([batches.PROBABILITY], inputs[number])

    return lambda: call


def fed(pair: Pair) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """The graph's inputs for one pair."""
    golden = None if pair.reference is None else [pair.reference]
    return batches.feed([pair.image], golden, [0] if golden else ())


def of_core(model: bundle.Bundle, pairs: Sequence[Files]) -> Callable[[], Call]:
    """File to decision in this process: what a service adds is the rest."""
    scorer = Scorer(model)
    cores = threading.Semaphore(len(os.sched_getaffinity(0)))

    def call(number: int) -> object:
        with cores:
            pair = PairReader(model.manifest.reading).read(*pairs[number])
            return scorer.judged(scorer.probabilities([pair])[0])

    return lambda: call


def of_service(url: str, path: str, pairs: Sequence[Files]) -> Callable[[], Call]:
    """One pair a request, over a connection of the thread's own."""
    address = urlsplit(url)
    bodies = [form(pair) for pair in pairs]

    def prepare() -> Call:
        connection = http.client.HTTPConnection(str(address.hostname), address.port)

        def call(number: int) -> object:
            connection.request("POST", path, bodies[number], HEADERS)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                message = f"{url}{path} answered {answer.status}: {said[:300]!r}"
                raise RuntimeError(message)
            return said

        return call

    return prepare


def form(pair: Files) -> bytes:
    """The body of a request."""
    parts = []
    for name, content in zip(("image", "reference"), pair, strict=True):
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="x"'
        parts += [head.encode(), b"\r\n\r\n", content, b"\r\n"]
    return b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def table(figures: Sequence[Figure]) -> str:
    """The figures as Markdown, each against the limit of its concurrency."""
    limit = {f.concurrency: f.pairs_per_s for f in figures if f.way.startswith("onnxruntime")}
    lines = [
        "| way | at a time | pairs/s | of onnxruntime | p50 ms | p99 ms | n |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for f in figures:
        share = f.pairs_per_s / limit[f.concurrency]
        lines.append(
            f"| {f.way} | {f.concurrency} | {f.pairs_per_s:.1f} | {share:.2f} |"
            f" {f.p50_ms:.1f} | {f.p99_ms:.1f} | {f.rounds} x {f.n} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
