"""A whole run by both engines and by Ray Data, start-up included, in one run.

    python -m benchmarks.whole_run out/run [--pairs 10000] [--ray out/bench/venv-ray/bin/python]

repeats ``images`` of an output until there are as many pairs, and scores them by its ``bundle``,
from the command to the scores in Parquet, each way in a process of its own. The ways take turns.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from benchmarks import child, data, peers, rows
from benchmarks.models import Model
from pcb_spark.core import bundle, names
from pcb_spark.lake import session
from pcb_spark.lake.catalogue import BUNDLE, IMAGES
from pcb_spark.network import inference

if TYPE_CHECKING:
    from benchmarks.data import Source

_RAY = Path("out/bench/venv-ray/bin/python")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole_run", description=__doc__)
    parser.add_argument("out", type=Path, help="folder with images/ and bundle/")
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ray", type=Path, default=_RAY, help=f"Python that has Ray ({_RAY})")
    parser.add_argument("--work", type=Path, default=Path("out/bench/whole"))
    options = parser.parse_args(arguments)
    source = data.find(None, None)
    folder = prepare(options.out, source, options.work, options.pairs)
    ways = by_engines(folder, source)
    if options.ray.exists():
        ways[peers.RAY] = by_ray(folder, options.ray)
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, run in ways.items():
            took[way].append(run())
    sys.stdout.write(f"{rows.machine()}\n\n{table(took, options.pairs)}")
    return 0


def prepare(out: Path, source: Source, work: Path, pairs: int) -> Path:
    """Write ``images`` of so many pairs; the answer is a folder with them and the bundle."""
    shutil.rmtree(work, ignore_errors=True)
    spark = session.get(data.configure(work, source), app_name="benchmarks")
    whole = data.alike(data.images(spark, out))
    data.write(data.resized(whole, pairs), work / "table")
    session.stop(spark)
    parts = [(IMAGES, work / "table" / IMAGES), (BUNDLE, out / BUNDLE)]
    return data.linked(work / "run", parts)


def by_engines(folder: Path, source: Source) -> dict[str, Callable[[], float]]:
    """Seconds from the command to the scores, by each engine."""

    def run(engine: str) -> float:
        return child.score(folder, source, f"inference.engine='{engine}'").scored

    return {
        f"pcb_spark, {engine}": lambda engine=engine: run(engine)  # type: ignore[misc]
        for engine in (names.SYNAPSEML, names.ONNXRUNTIME)
    }


def by_ray(folder: Path, python: Path) -> Callable[[], float]:
    """The same by Ray Data, from its command on."""
    made = bundle.read(folder / BUNDLE)
    graph = onnx.load_from_string(made.parts[bundle.GRAPH])
    model = Model(
        name="", precision=made.manifest.precision, folder=folder, graph=graph,
        reading=made.manifest.reading,
    )  # fmt: skip

    def run() -> float:
        began = time.perf_counter()
        peers.run_ray(
            model, [folder / IMAGES], python=python, actors=os.cpu_count() or 1,
            batch_size=inference.DEFAULT_BATCH_SIZE, scratch=folder.parent / "scratch",
        )  # fmt: skip
        return time.perf_counter() - began

    return run


def table(took: Mapping[str, Sequence[float]], pairs: int) -> str:
    """Median seconds of each way, and its rate beside the first one's."""
    medians = {way: rows.median(seconds) or float("nan") for way, seconds in took.items()}
    first = next(iter(medians.values()))
    lines = ["| way | s | pairs/s | x the first | rounds |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {way} | {seconds:.1f} | {pairs / seconds:.1f} | {first / seconds:.2f} |"
        f" {len(took[way])} |"
        for way, seconds in medians.items()
    ]
    return "\n".join(lines) + f"\n\n{pairs} pairs, start-up included\n"


if __name__ == "__main__":
    sys.exit(main())
