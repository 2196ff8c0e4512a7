"""Whether Spark by both engines, an edge machine and the web service decide every image alike.

    python -m faults.prove_parity out/run [--piece 1/5]

reads ``images`` and ``bundle`` of an output, seals an edge bundle of that model, and scores each
image by SynapseML, by ONNX Runtime in Spark's workers, by ``core.decisions`` with the edge bundle,
and by a ``pcb-serve`` of its own over HTTP. What they say is compared to the last bit. ``--piece``
takes a part of the images, by a hash, so that pieces can be run one after another.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import onnx
from pyspark.sql import functions as F

from benchmarks.running import SERVICE, seal, serving
from pcb_spark.core import bundle, edge_bundle, names, review, signatures
from pcb_spark.core.decisions import Decider
from pcb_spark.core.layouts import Traits
from pcb_spark.lake import schemas, session, tables
from pcb_spark.lake.catalogue import BUNDLE, IMAGES
from pcb_spark.network import graphs, scoring
from pcb_spark.network.inference import InferencePlan
from pcb_spark.pipeline import config

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

#: What has to be the same; probabilities are floats, and equal where all their bits are.
COLUMNS: Final = ("probability", "decision", "threshold", "reason", "review", "review_probability")
_A_REQUEST: Final = 8
_TRAITS: Final = ("line", "lot", "board_id", "position", "part_number")
_TRACE: Final = ("image_id", *_TRAITS)
_SELF_TEST: Final = 3

Told = Mapping[str, tuple[Any, ...]]
Post = Callable[[dict[str, Any]], Mapping[str, Any]]


def by_spark(
    images: DataFrame, edge: edge_bundle.EdgeBundle, *, engine: str, partitions: int
) -> Told:
    """What nights on Spark say, by id."""
    manifest = edge.manifest.model
    plan = InferencePlan(
        batch_size=8, partitions=partitions, threads=1, engine=engine, reading=manifest.reading,
        max_pixels=edge.manifest.habits.max_pixels,
    )  # fmt: skip
    fused = onnx.load_from_string(edge.parts[bundle.GRAPH])
    graph = graphs.with_threads(fused, plan.threads).SerializeToString()
    scored = scoring.score(images, graph, plan)
    decided = scoring.decide(scored, manifest, edge.manifest.shares)
    rows = decided.select(names.IMAGE_ID, *COLUMNS).collect()
    return {row[names.IMAGE_ID]: tuple(row[name] for name in COLUMNS) for row in rows}


def by_edge(rows: Sequence[Row], edge: edge_bundle.EdgeBundle) -> Told:
    """What an edge machine says of rows of ``images``."""
    decider, now = Decider(edge), datetime.now(UTC)
    found = {}
    for row in rows:
        traits = Traits(**{name: row[name] for name in _TRAITS})
        decision = decider.decide(
            *_files(row), path="", image_id=row[names.IMAGE_ID], traits=traits, content_sha256="",
            reference_path=None, now=now,
        )  # fmt: skip
        found[row[names.IMAGE_ID]] = tuple(getattr(decision, name) for name in COLUMNS)
    return found


def by_service(rows: Sequence[Row], post: Post) -> Told:
    """What the service says, some images a request; of unreadable ones, too."""
    found = {}
    for first in range(0, len(rows), _A_REQUEST):
        asked = [_encoded(row) for row in rows[first : first + _A_REQUEST]]
        for each in post({"images": asked})["results"]:
            found[each[names.IMAGE_ID]] = tuple(each[name] for name in COLUMNS)
    return found


def differences(one: Told, other: Told) -> list[str]:
    """The images of which two say anything else, or that one of them lacks."""
    return sorted(each for each in one.keys() | other.keys() if one.get(each) != other.get(each))


def _files(row: Row) -> tuple[bytes, bytes | None]:
    reference = row[names.REFERENCE]
    return bytes(row[names.IMAGE]), None if reference is None else bytes(reference)


def _encoded(row: Row) -> dict[str, Any]:
    files = zip((names.IMAGE, names.REFERENCE), _files(row), strict=True)
    told = {
        name: base64.b64encode(content).decode() for name, content in files if content is not None
    }
    return told | {name: row[name] for name in _TRACE if row[name] is not None}


def compare(out: Path, images: DataFrame, scratch: Path) -> Iterator[tuple[str, Told]]:
    """What each of the four says, the first to compare with."""
    model = bundle.read(out / BUNDLE)
    rows = images.collect()
    shares = review.Shares(control=0.05, audit=0.02, seed=0)
    flags = seal(model, [_files(row) for row in rows[:_SELF_TEST]], scratch, shares=shares)
    edge = edge_bundle.open_bundle(
        scratch / "edge", signatures.read_public([scratch / "plant.pub"])
    )
    slots = session.task_slots(images.sparkSession)
    for engine in (names.SYNAPSEML, names.ONNXRUNTIME):
        yield f"Spark, {engine}", by_spark(images, edge, engine=engine, partitions=slots)
    yield "edge", by_edge(rows, edge)
    command = ["-c", SERVICE, "start", *flags, "--without-keys", "--port", "0"]
    with (
        serving(command, scratch / "service.log") as address,
        httpx2.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield "service", by_service(rows, lambda body: client.post("/v1/inspect", json=body).json())


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print a table, and end with 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m faults.prove_parity", description=__doc__)
    parser.add_argument("out", type=Path, help="folder with images/ and bundle/")
    parser.add_argument("--piece", default="1/1", metavar="N/M", help="of M pieces the Nth (1/1)")
    options = parser.parse_args(arguments)
    number, _, pieces = options.piece.partition("/")
    spark = session.get(
        config.load(None, ['spark.driver_memory="3g"']), app_name="parity", lasts=True
    )
    table = tables.read(spark, str(options.out / IMAGES), schemas.IMAGES)
    own = F.pmod(F.xxhash64(names.IMAGE_ID), F.lit(int(pieces))) == F.lit(int(number) - 1)
    with tempfile.TemporaryDirectory() as scratch:
        told = dict(compare(options.out, table.where(own).orderBy(names.IMAGE_ID), Path(scratch)))
    session.stop(spark)
    (first, expected), *others = told.items()
    wrong = {way: differences(expected, found) for way, found in others}
    scored = sum(row[0] is not None for row in expected.values())
    print_table(f"{len(expected)} images by {first}, {scored} with a probability", wrong)
    return int(any(wrong.values()))


def print_table(title: str, wrong: Mapping[str, Sequence[str]]) -> None:
    """Say how many images differ, and which are the first."""
    sys.stdout.write(f"{title}\n\n| compared with | differ |\n| --- | --- |\n")
    for way, images in wrong.items():
        sys.stdout.write(f"| {way} | {len(images)} {' '.join(images[:5])} |\n")


if __name__ == "__main__":
    sys.exit(main())
