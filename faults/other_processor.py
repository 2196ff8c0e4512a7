"""How many decisions another processor would change, seen through an emulated one.

    python -m faults.other_processor out/run [--pairs 48] [--cpu Haswell]

scores pairs of an output's ``images`` by its ``bundle`` twice, as edge machines do: here, and under
``qemu-x86_64-static`` as a processor of another kind, which ONNX Runtime then has other kernels
for. Haswell has AVX2 and neither AVX-512 nor VNNI. An emulated pair takes some seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pcb_spark.core import bundle
from pcb_spark.core.scorer import Score, Scorer

_EMULATOR: Final = "qemu-x86_64-static"
_IMAGE, _REFERENCE = "image", "reference"


def main(arguments: Sequence[str] | None = None) -> int:
    """Score on both processors and say what differs."""
    parser = argparse.ArgumentParser(prog="python -m faults.other_processor", description=__doc__)
    parser.add_argument("out", type=Path, help="folder with images/ and bundle/")
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--cpu", default="Haswell", help="as QEMU calls it (Haswell)")
    parser.add_argument("--emulator", default=_EMULATOR)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    model = bundle.read(options.out / "bundle")
    if options.child is not None:
        told = [asdict(each) for each in scored(model, options.child)]
        sys.stdout.write(json.dumps(told) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        _write_pairs(options.out / "images", options.pairs, Path(scratch))
        here = scored(model, Path(scratch))
        emulated = [options.emulator, "-cpu", options.cpu, sys.executable, "-m", __spec__.name]
        command = [*emulated, str(options.out), "--child", scratch]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    there = [Score(**each) for each in json.loads(done.stdout.splitlines()[-1])]
    sys.stdout.write(report(here, there, options.cpu))
    return 0


def scored(model: bundle.Bundle, folder: Path) -> list[Score]:
    """Score the pairs of a folder, in order."""
    scorer = Scorer(model)
    pairs = sorted(folder.glob(f"*_{_IMAGE}"))
    return [scorer.score(path.read_bytes(), _reference(path)) for path in pairs]


def _reference(path: Path) -> bytes | None:
    beside = path.with_name(path.name.replace(_IMAGE, _REFERENCE))
    return beside.read_bytes() if beside.exists() else None


def _write_pairs(images: Path, count: int, folder: Path) -> None:
    """Put pairs that lie evenly among all images into files."""
    import pyarrow_hotfix  # noqa: F401
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    files = sorted(images.rglob("*.parquet"))
    for file in files[:: max(1, len(files) // count)]:
        found = parquet.ParquetFile(file).read(columns=[_IMAGE, _REFERENCE]).to_pylist()
        rows += found[:: max(1, len(found) * len(files) // count)]
    for number, row in enumerate(rows[:: max(1, len(rows) // count)][:count]):
        for name, content in row.items():
            if content is not None:
                (folder / f"{number:05d}_{name}").write_bytes(content)


def report(here: Sequence[Score], there: Sequence[Score], cpu: str) -> str:
    """Say how many scores and decisions differ, and by how much at most."""
    both = [(one, other) for one, other in zip(here, there, strict=True)]
    apart = [
        abs(one.probability - other.probability)
        for one, other in both
        if one.probability is not None and other.probability is not None
    ]
    changed = sum(one.decision != other.decision for one, other in both)
    near = min(
        (abs(one.probability - one.threshold) for one, _ in both if one.probability is not None),
        default=0.0,
    )
    return (
        f"{len(both)} pairs, {len(apart)} scored on both, here and as {cpu}\n"
        f"other probability: {sum(each > 0 for each in apart)}, "
        f"by {max(apart, default=0.0):.2g} at most\n"
        f"other decision: {changed}; the nearest score lies {near:.2g} off its threshold\n"
    )


if __name__ == "__main__":
    sys.exit(main())
