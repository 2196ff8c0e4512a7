"""Whether it helps to compare an image with the nearest that good images show, pixel by pixel.

    python -m benchmarks.golden_ranges --data DROP --weights RESNET50.onnx --scratch DIR

An image that meets a golden image is compared with it, and with itself, each pixel brought into the
range of the images that the golden image was made of (``pcb_spark.core.ranges``), as it is served.

int8, golden images of earlier days, the classifier as it is served, without and with the image
itself apart, folds forward in time. Some ten minutes of one core for 1,500 images.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import golden_tables, golden_variation, packing
from benchmarks.golden_pairs import LIMIT, OWN, Seen, decoded, place_of
from benchmarks.goldens import mean_odds, scores_forward
from benchmarks.registration import read_rows
from pcb_spark.core import batches, linear, names, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import PairReader, Reading
from pcb_spark.network import features, graphs

if TYPE_CHECKING:
    import onnxruntime as ort
    from numpy.typing import NDArray

    from benchmarks.golden_tables import Judgement
    from pcb_spark.core.pairs import Pair

    Row = dict[str, str]

WAYS = (OWN, "nearest that good images show")
_LEVELS = features.DEFAULT_IMAGE_LEVELS
_IMAGE_WIDTH = graphs.image_width(_LEVELS)
_SHARES = (1 - linear.IMAGE_SHARE, linear.IMAGE_SHARE)
READINGS = [
    Reading(difference=True, max_offset=LIMIT, references=names.OWN, alignment=alignment)
    for alignment in (registration.CUT, registration.LAID)
]


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = golden_variation.parser(__doc__).parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    rows, kept = read_rows(options.data), options.scratch / "ranges.npz"
    if not kept.exists():
        graph = golden_variation.served_graph(options, rows, _LEVELS).SerializeToString()
        session = packing.one_thread_session(graph)
        found = dict(_features(options.data, rows, session))
        empty = np.zeros_like(next(iter(found.values())))
        there = np.array([row["image"] in found for row in rows])
        np.savez(kept, there=there, values=[found.get(row["image"], empty) for row in rows])
    loaded, drop = np.load(kept), golden_tables.Drop.of(rows)
    judged = {}
    for place, way in enumerate(WAYS):
        compared, alone = np.split(loaded["values"][:, place], [-_IMAGE_WIDTH], axis=1)
        judged[way] = _judged(drop, Seen(loaded["there"], compared), True, options.seeds)
        itself = _judged(drop, Seen(loaded["there"], alone), False, options.seeds)
        judged[f"{way}, the image itself apart"] = (
            loaded["there"],
            [mean_odds(each, _SHARES) for each in zip(judged[way][1], itself[1], strict=True)],
        )
    golden_tables.say_ways(drop, judged)
    return 0


def _judged(drop: golden_tables.Drop, seen: Seen, difference: bool, seeds: int) -> Judgement:
    scores = [scores_forward(drop, seen, difference, seed) for seed in range(seeds)]
    return seen.there, scores


def _features(
    drop: Path, rows: Sequence[Row], session: ort.InferenceSession
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name of each image that has a golden image, and its features (2, F), in both ways."""
    by_place = defaultdict(list)
    for row in rows:
        by_place[place_of(row)].append(row)
    for of_place in by_place.values():
        pixels = decoded(of_place, drop)
        for each in golden_variation.compared(of_place, pixels):
            readers = [PairReader(reading) for reading in READINGS]
            for name in each.rows:
                try:
                    pairs = [reader.paired(pixels[name], each.png) for reader in readers]
                except ImageError:
                    continue
                yield name, np.stack([features_of(session, pair) for pair in pairs])


def features_of(session: ort.InferenceSession, pair: Pair) -> NDArray[np.float32]:
    """Features (F,) of one pair."""
    references = [] if pair.reference is None else [pair.reference]
    (found,) = session.run([batches.FEATURES], batches.feed([pair.image], references, [0]))
    values: NDArray[np.float32] = found[0, 0]
    return values


if __name__ == "__main__":
    sys.exit(main())
