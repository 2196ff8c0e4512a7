"""Whether it helps to weigh a difference by how much good images differ there; own golden images.

    python -m benchmarks.golden_variation --data DROP --weights RESNET50.onnx --scratch DIR

Each golden image is compared with the images that it was made of, which gives what good images show
in every cell and channel of layer1 and layer2. A new image's difference from it is then read

- as it is,
- with each cell weighed by how quiet it is among good images, over all channels,
- with each cell of each channel divided by what good images show there,

and each of the latter two beside the first. int8, the classifier as it is served, folds forward in
time, boards drawn anew for the intervals. What is in DIR already is not computed again. Some five
minutes of one core for 1,500 images.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks import golden_tables as tables
from benchmarks.golden_pairs import (
    LIMIT,
    OWN,
    RULE,
    Seen,
    day_of,
    decoded,
    good_of,
    nearest,
    place_of,
)
from benchmarks.goldens import SEEDS, scores_forward
from benchmarks.registration import read_rows
from pcb_spark.core import batches, images, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.golden.views import Position
from pcb_spark.network import backbone, features, graphs, pixel_numbers
from pcb_spark.network.settings import FeaturesConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pcb_spark.network.settings import Stage

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]
    Map = NDArray[np.float32]

_CALIBRATION = 64
MAPS = tuple(
    f"{level}_signed_{side}" for level in ("layer1", "layer2") for side in ("excess", "lack")
)
#: Activations below this are rounding; nothing is divided by less.
_LEAST = 0.1
AS_IT_IS, BY_CELL, BY_CHANNEL = OWN, "weighed by cell", "divided by cell and channel"
READ = (AS_IT_IS, BY_CELL, BY_CHANNEL)
WAYS = {
    AS_IT_IS: (AS_IT_IS,),
    BY_CELL: (BY_CELL,),
    BY_CHANNEL: (BY_CHANNEL,),
    f"as it is and {BY_CELL}": (AS_IT_IS, BY_CELL),
    f"as it is and {BY_CHANNEL}": (AS_IT_IS, BY_CHANNEL),
}


class Compared(NamedTuple):
    """A golden image, the images that it was made of, and those that meet it."""

    golden: Pixels
    png: bytes
    members: list[Pixels]
    rows: list[str]


class Difference(NamedTuple):
    """What differs in a pair: numbers of the pixels, and maps [C, H, W] by the names ``MAPS``."""

    pixels: Map
    maps: dict[str, Map]


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = parser(__doc__).parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    rows = read_rows(options.data)
    kept = options.scratch / "variation.npz"
    if not kept.exists():
        session = _session(options, rows)
        found = dict(_features(options.data, rows, session))
        there = np.array([row["image"] in found for row in rows])
        empty = np.zeros_like(next(iter(found.values())))
        values = np.stack([found.get(row["image"], empty) for row in rows])
        np.savez(kept, there=there, values=values)
    loaded = np.load(kept)
    drop = tables.Drop.of(rows)
    judged = {}
    for name, ways in WAYS.items():
        places = [READ.index(way) for way in ways]
        seen = Seen(loaded["there"], np.hstack([loaded["values"][:, place] for place in places]))
        scores = [scores_forward(drop, seen, True, seed) for seed in range(options.seeds)]
        judged[name] = (seen.there, scores)
        sys.stderr.write(f"{name}\n")
    tables.say_ways(drop, judged)
    return 0


def _session(options: argparse.Namespace, rows: Sequence[Row]) -> ort.InferenceSession:
    """The features graph as it is served in int8, whose maps of differences are outputs, too."""
    graph = served_graph(options, rows)
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in MAPS)
    how = ort.SessionOptions()
    how.intra_op_num_threads = 1
    return ort.InferenceSession(graph.SerializeToString(), how)


def served_graph(
    options: argparse.Namespace, rows: Sequence[Row], image_levels: tuple[Stage, ...] = ()
) -> onnx.ModelProto:
    """The features graph as it is served in int8, with the image itself at these levels."""
    drawn = np.random.default_rng(0).permutation(len(rows))[:_CALIBRATION]
    sample = [images.decode((options.data / rows[at]["image"]).read_bytes()) for at in drawn]
    source = backbone.load(str(options.weights), cache_dir=options.weights.parent)
    spec = features.spec_of(FeaturesConfig(image_levels=image_levels), difference=True)
    return graphs.with_threads(features.build(source, spec, calibration=sample).graph, 1)


def _features(
    drop: Path, rows: Sequence[Row], session: ort.InferenceSession
) -> Iterator[tuple[str, Map]]:
    """Name of each image that has a golden image, and its features (3, F), read in the three ways.

    Positions are gone through one after another, so that few images are held at a time.
    """
    by_place = defaultdict(list)
    for row in rows:
        by_place[place_of(row)].append(row)
    for of_place in by_place.values():
        pixels = decoded(of_place, drop)
        for each in compared(of_place, pixels):
            usual = _usual(session, each)
            for name in each.rows:
                found = _difference(session, pixels[name], each.golden)
                if found is not None:
                    yield name, read(found, usual)


def compared(rows: Sequence[Row], pixels: Mapping[str, Pixels]) -> list[Compared]:
    """Golden images of one position, of earlier days each, that some image meets."""
    position, made = Position(RULE), list[Compared]()
    newest: dict[int, Compared] = {}
    for day, of_day in groupby(rows, key=day_of):
        today = list(of_day)
        for row in today:
            view = nearest(pixels[row["image"]], position)
            if view is not None:
                newest[view].rows.append(row["image"])
        for row in (row for row in today if row["verdict"] == "pass"):
            list(position.add(good_of(row, pixels[row["image"]], day)))
        for new in position.close_day():
            if new.png is not None:
                members = [pixels[name] for name in new.images]
                newest[new.view] = Compared(images.decode(new.png), new.png, members, [])
                made.append(newest[new.view])
    return [each for each in made if each.rows]


def _difference(session: ort.InferenceSession, image: Pixels, golden: Pixels) -> Difference | None:
    try:
        one, other = registration.align(image, golden, limit=LIMIT)
    except ImageError:
        return None
    numbers, *maps = session.run([batches.FEATURES, *MAPS], batches.feed([one], [other], [0]))
    shown = {name: np.maximum(each[0], 0) for name, each in zip(MAPS, maps, strict=True)}
    return Difference(numbers[0, 0, : len(pixel_numbers.PIXEL_NUMBERS)], shown)


def _usual(session: ort.InferenceSession, each: Compared) -> dict[str, Map]:
    """What good images show: mean over them, and the largest of the 3 x 3 cells around each.

    An image may lie a cell off the golden image that it is laid on.
    """
    found = [_difference(session, member, each.golden) for member in each.members]
    shown = [one.maps for one in found if one is not None]
    return {name: _around(np.mean([maps[name] for maps in shown], axis=0)) for name in MAPS}


def _around(maps: Map) -> Map:
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    height, width = maps.shape[1:]
    shifted = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    highest: Map = np.max(shifted, axis=0)
    return highest


def read(found: Difference, usual: Mapping[str, Map]) -> Map:
    """Features (3, F): as it is, weighed by cell, divided by cell and channel."""
    ways: list[list[Map]] = [[found.pixels] for _ in range(3)]
    for name, cells in found.maps.items():
        by_cell = usual[name].mean(axis=0)
        quiet = 1 / (by_cell / max(float(by_cell.mean()), _LEAST / 100) + 1)
        own = usual[name] + usual[name].mean(axis=(1, 2), keepdims=True) + _LEAST
        for way, weighed in zip(ways, (cells, cells * quiet, cells / own), strict=True):
            way.append(weighed.max(axis=(1, 2)))
    return np.stack([np.concatenate(way) for way in ways]).astype(np.float32)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark that compares ways of reading one drop."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, required=True, help="camera drop with verdicts.csv")
    made.add_argument("--weights", type=Path, required=True, help="ResNet-50 in ONNX")
    made.add_argument("--scratch", type=Path, required=True, help="keeps what is computed")
    made.add_argument("--seeds", type=int, default=SEEDS, help="of the trees")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
