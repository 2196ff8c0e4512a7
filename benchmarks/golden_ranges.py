"""Whether it helps to compare an image with the nearest that good images show, pixel by pixel.

    python -m benchmarks.golden_ranges --data DROP --weights RESNET50.onnx --scratch DIR

The images that a golden image is made of are laid on it. An image that meets it is then compared

- with the golden image,
- with itself, each pixel brought between the second lowest and the second highest of theirs,
- the same, where the range takes in the 3 x 3 pixels around.

int8, golden images of earlier days, the classifier as it is served without the image itself, folds
forward in time. Some five minutes of one core for 1,500 images.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from benchmarks import golden_tables, golden_variation, packing
from benchmarks.golden_pairs import LIMIT, OWN, Seen, decoded, place_of
from benchmarks.goldens import scores_forward
from benchmarks.registration import read_rows
from pcb_spark.core import batches, registration
from pcb_spark.core.errors import ImageError

if TYPE_CHECKING:
    import onnxruntime as ort
    from numpy.typing import NDArray

    from benchmarks.golden_variation import Compared

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]

#: From so many images on the lowest and the highest are left out: one may be a wrong verdict.
_ENOUGH = 5
WAYS = (OWN, "nearest of the range", "nearest of the range around")


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = golden_variation.parser(__doc__).parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    rows, kept = read_rows(options.data), options.scratch / "ranges.npz"
    if not kept.exists():
        graph = golden_variation.served_graph(options, rows).SerializeToString()
        session = packing.one_thread_session(graph)
        found = dict(_features(options.data, rows, session))
        empty = np.zeros_like(next(iter(found.values())))
        there = np.array([row["image"] in found for row in rows])
        np.savez(kept, there=there, values=[found.get(row["image"], empty) for row in rows])
    loaded, drop = np.load(kept), golden_tables.Drop.of(rows)
    judged = {}
    for place, way in enumerate(WAYS):
        seen = Seen(loaded["there"], loaded["values"][:, place])
        scores = [scores_forward(drop, seen, True, seed) for seed in range(options.seeds)]
        judged[way] = (seen.there, scores)
    golden_tables.say_ways(drop, judged)
    return 0


def bounds(members: Sequence[Pixels], *, around: bool) -> tuple[Pixels, Pixels]:
    """What good images show at least and at most, both uint8 (C, H, W).

    Parameters
    ----------
    members : uint8, (C, H, W) each, laid on one another.
    around : whether a pixel may show what its eight neighbours do.
    """
    ordered = np.sort(np.stack(members), axis=0)
    left_out = int(len(ordered) >= _ENOUGH)
    least, most = ordered[left_out], ordered[-1 - left_out]
    if around:
        least = ndimage.minimum_filter(least, size=(1, 3, 3))
        most = ndimage.maximum_filter(most, size=(1, 3, 3))
    return least, most


def _features(
    drop: Path, rows: Sequence[Row], session: ort.InferenceSession
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name of each image that has a golden image, and its features (3, F), compared in 3 ways."""
    by_place = defaultdict(list)
    for row in rows:
        by_place[place_of(row)].append(row)
    for of_place in by_place.values():
        pixels = decoded(of_place, drop)
        for each in golden_variation.compared(of_place, pixels):
            ranges = _ranges(each)
            for name in each.rows:
                laid = _laid_on(pixels[name], each.golden)
                if laid is not None:
                    others = [np.clip(laid, least, most) for least, most in ranges]
                    yield name, np.stack([
                        session.run([batches.FEATURES], batches.feed([laid], [other], [0]))[0][0, 0]
                        for other in (each.golden, *others)
                    ])  # fmt: skip


def _ranges(each: Compared) -> list[tuple[Pixels, Pixels]]:
    laid = [_laid_on(member, each.golden) for member in each.members]
    members = [member for member in laid if member is not None]
    return [bounds(members, around=around) for around in (False, True)]


def _laid_on(image: Pixels, golden: Pixels) -> Pixels | None:
    """An image moved onto its golden image, in its brightness; None where it lies too far off."""
    try:
        moved = registration.fill(image, golden, limit=LIMIT)
    except ImageError:
        return None
    return registration.matched(np.ascontiguousarray(moved), golden)


if __name__ == "__main__":
    sys.exit(main())
