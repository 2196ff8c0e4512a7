"""What a decision costs on an edge machine, against bare ONNX Runtime on the same inputs.

``python -m benchmarks.edge --home DIR --data DROP [--pairs 300] [--starts 10]``

Each pair is taken apart in turn: its files decoded and aligned, the same inputs through a bare
session, and the whole decision. So load of the machine meets all three alike. What is left of a
decision without decoding, alignment and the bare session is what pcb_spark adds.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcb_spark.core import batches, bundle, drops, sessions
from pcb_spark.core.decisions import Decider
from pcb_spark.core.pairs import PairReader
from pcb_spark.serving import edge_score
from pcb_spark.serving.edge_home import Home

if TYPE_CHECKING:
    from pcb_spark.core.edge_bundle import EdgeBundle

PARTS = ("read a pair (decode, align)", "bare ONNX Runtime", "score a pair", "decide an image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start of ``pcb-edge score`` on one pair: seconds, of which the processor's, and MB."""

    seconds: float
    busy: float
    resident: float


#: Says at last how much memory it ever had: that of a child counts its parent's before it began.
PROGRAM = """
import sys
from pcb_spark.serving.edge import main
code = main(sys.argv[1:])
sys.stderr.write(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""


def starts(home: Path, image: Path, reference: Path, *, repeats: int) -> list[Start]:
    """Start it again and again."""
    arguments = ["--home", str(home), "score", str(image), "--reference", str(reference)]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return [_start(command) for _ in range(repeats)]


def _start(command: Sequence[str]) -> Start:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start(seconds=seconds, busy=busy, resident=int(done.stderr) / 1024)


def milliseconds(
    edge: EdgeBundle, drop: drops.Drop, paths: Sequence[str]
) -> dict[str, list[float]]:
    """Time the parts of each pair, in their turns; images without a reference are left out."""
    decider, reader = Decider(edge), PairReader(edge.manifest.model.reading)
    bare = sessions.of(edge.parts[bundle.GRAPH])  # where ORT_LOAD_CONFIG_FROM_MODEL is set, too
    found: dict[str, list[float]] = {part: [] for part in PARTS}
    for path in paths:
        content = (drop.root / path).read_bytes()
        golden = drop.reference(path, drop.traits(path, content), content)
        if golden is None:
            continue
        marks = [time.perf_counter()]
        pair = reader.read(content, golden[1])
        marks.append(time.perf_counter())
        inputs = batches.feed([pair.image], [pair.reference], [0])  # type: ignore[list-item]
        begin = time.perf_counter()
        bare.run([batches.PROBABILITY], inputs)
        took = time.perf_counter() - begin
        marks.append(time.perf_counter())
        decider.scorer.score(content, golden[1])
        marks.append(time.perf_counter())
        edge_score.decide(drop, decider, path, content=content)
        marks.append(time.perf_counter())
        spans = (marks[1] - marks[0], took, marks[3] - marks[2], marks[4] - marks[3])
        for part, span in zip(PARTS, spans, strict=True):
            found[part].append(1000 * span)
    return found


def report(times: dict[str, list[float]], begun: Sequence[Start]) -> str:
    """Give tables to read."""
    read, bare, score, _ = (np.array(times[part]) for part in PARTS)
    added = score - read - bare
    rows = [(part, np.array(values)) for part, values in times.items()]
    rows.append(("score without both: what is added", added))
    lines = [
        f"{len(read)} pairs, one thread, ms a pair",
        "",
        "| | p50 | p99 |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {n} | {np.percentile(v, 50):.2f} | {np.percentile(v, 99):.2f} |" for n, v in rows]
    share = np.median(added) / np.median(bare)
    lines += ["", f"added at the median: {share:.1%} of bare ONNX Runtime", ""]
    for name, unit in (
        ("seconds", "s"),
        ("busy", "s of the processor"),
        ("resident", "MB resident"),
    ):
        values = [getattr(each, name) for each in begun]
        lines.append(
            f"start of pcb-edge score on one pair: median {np.median(values):.2f}, "
            f"least {min(values):.2f} {unit}, n = {len(values)}"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="of a machine with a bundle")
    parser.add_argument("--data", type=Path, required=True, help="a camera drop with references")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--starts", type=int, default=10)
    options = parser.parse_args(arguments)
    edge = Home(options.home).open()
    drop = drops.Drop(options.data, edge.manifest.habits)
    every = list(drop.paths())
    paths = every[:: max(1, len(every) // options.pairs)][: options.pairs]
    times = milliseconds(edge, drop, paths)
    content = (drop.root / paths[0]).read_bytes()
    golden = drop.reference(paths[0], drop.traits(paths[0], content), content)
    if golden is None:
        sys.stderr.write(f"{paths[0]} has no reference\n")
        return 2
    begun = starts(
        options.home, drop.root / paths[0], drop.root / golden[0], repeats=options.starts
    )
    sys.stdout.write(report(times, begun))
    return 0


if __name__ == "__main__":
    sys.exit(main())
