"""Services of their own on loopback, and the edge bundle that one is started with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pcb_spark.core import bundle, durable, edge_bundle, machine, self_test, signatures
from pcb_spark.core.drops import Habits
from pcb_spark.core.review import Shares
from pcb_spark.core.scorer import Scorer

SERVICE = "import sys; from pcb_spark.serving.service import main; sys.exit(main())"
NOBODY = Shares(control=0, audit=0)


def seal(
    model: bundle.Bundle,
    pairs: Sequence[tuple[bytes, bytes | None]],
    scratch: Path,
    *,
    shares: Shares = NOBODY,
) -> list[str]:
    """Make an edge bundle of the model, signed for this run alone: the flags that name it."""
    key, scorer = signatures.SecretKey.new(), Scorer(model)
    parts, known = {bundle.GRAPH: model.parts[bundle.GRAPH]}, []
    for number, files in enumerate(pairs):
        names = [f"{edge_bundle.SELF_TEST}/{number}_{what}" for what in ("image", "reference")]
        own = {name: file for name, file in zip(names, files, strict=True) if file is not None}
        parts |= own
        score = scorer.score(*files)
        probability = self_test.written(score.probability)
        known.append(edge_bundle.Known(
            image=names[0], reference=names[1] if names[1] in own else None, line=None,
            part_number=None, probability=probability, decision=score.decision,
        ))  # fmt: skip
    manifest = edge_bundle.EdgeManifest(
        created_at=datetime.now(UTC), model=model.manifest, known={}, licences={}, habits=Habits(),
        shares=shares, made_with=machine.describe(), self_test=tuple(known),
    )  # fmt: skip
    durable.write_folder(scratch / "edge", edge_bundle.sealed(manifest, parts, key).files())
    (scratch / "plant.pub").write_text(key.public.text())
    return ["--bundle", str(scratch / "edge"), "--trust", str(scratch / "plant.pub")]


@contextlib.contextmanager
def serving(command: Sequence[str], log: Path, *, python: Path | None = None) -> Iterator[str]:
    """Run a service until the block ends; the answer is its address."""
    with started(command, log, python=python) as (found, _):
        yield found


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, *, python: Path | None = None
) -> Iterator[tuple[str, int]]:
    """Run a service by this Python, or another one; address, and id of the process."""
    words = [str(python or sys.executable), *command]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())} if python else None
    with log.open("w") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=environment)
        try:
            yield address(process, log), process.pid
        finally:
            process.terminate()
            process.wait()


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the service says where it listens."""
    while process.poll() is None:
        found = [line for line in log.read_text().splitlines() if "listening at" in line]
        if found:
            return found[0].rpartition(" ")[2]
        time.sleep(0.05)
    raise RuntimeError(log.read_text()[-4000:])
