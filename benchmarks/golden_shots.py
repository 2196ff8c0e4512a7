"""Whether the nearest that good images show is worth as much on real boards and their defects.

    python -m benchmarks.golden_shots --data DROP --weights RESNET50.onnx --scratch DIR [--every N]

For drops whose positions don't come again, such as DeepPCB. Seven photographs of each reference are
made up, turned by up to a degree, moved by up to 4 px, scaled by up to 1 %, lit otherwise, out of
focus and noisy; they make its golden image. An image is compared with the reference, with the mean
of the seven, with the nearest that they show, and with the latter two. int8, the classifier as it
is served without the image itself, folds forward in time. Some three minutes of two cores for 1,666
images.
"""

from __future__ import annotations

import argparse
import functools
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from benchmarks import golden_tables, golden_variation, packing
from benchmarks.golden_pairs import HANDED_OVER, LIMIT, OWN, Seen
from benchmarks.golden_ranges import features_of
from benchmarks.goldens import scores_forward
from benchmarks.registration import read_rows
from pcb_spark.core import goldens, images, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import PairReader, Reading

if TYPE_CHECKING:
    import onnxruntime as ort
    from numpy.typing import NDArray

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]

_SHOTS = 7
_NEAREST = "nearest that good images show"
#: What is compared, and which of its features stand beside one another in a judgement.
READ = (OWN, HANDED_OVER, _NEAREST)
WAYS = {name: (name,) for name in READ} | {"own and nearest": (OWN, _NEAREST)}
_CUT, _LAID = (
    PairReader(Reading(difference=True, max_offset=LIMIT, alignment=alignment))
    for alignment in (registration.CUT, registration.LAID)
)


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = _parser().parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    rows, kept = read_rows(options.data)[:: options.every], options.scratch / "shots.npz"
    if not kept.exists():
        graph = golden_variation.served_graph(options, rows).SerializeToString()
        work = functools.partial(_features, drop=options.data, graph=graph)
        # forked processes would wait for threads that they haven't got
        with get_context("spawn").Pool(options.jobs) as pool:
            found = pool.map(work, list(enumerate(rows)), chunksize=32)
        there = np.array([each is not None for each in found])
        empty = np.zeros_like(next(each for each in found if each is not None))
        np.savez(kept, there=there, values=[empty if each is None else each for each in found])
    loaded, drop = np.load(kept), golden_tables.Drop.of(rows)
    judged = {}
    for name, ways in WAYS.items():
        values = np.hstack([loaded["values"][:, READ.index(way)] for way in ways])
        seen = Seen(loaded["there"], values)
        scores = [scores_forward(drop, seen, True, seed) for seed in range(options.seeds)]
        judged[name] = (seen.there, scores)
    golden_tables.say_ways(drop, judged)
    return 0


def shot(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A photograph that a camera may take of what a grey reference, (3, 224, 224), shows."""
    angle, scale = np.deg2rad(np.clip(rng.normal(0, 0.5), -1, 1)), 1 + rng.uniform(-0.01, 0.01)
    right, down = rng.uniform(-4, 4, 2)
    border = 16
    middle = border + images.SIDE / 2
    along, across = scale * np.cos(angle), scale * np.sin(angle)
    back = -images.SIDE / 2
    matrix = (
        along, across, middle + along * back + across * back + right,
        -across, along, middle - across * back + along * back + down,
    )  # fmt: skip
    padded = Image.fromarray(np.pad(pixels[0], border, mode="edge"))
    size = (images.SIDE, images.SIDE)
    turned = padded.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    blurred = np.asarray(turned.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8))))
    lit = 255 * (blurred / 255) ** rng.uniform(0.85, 1.15) * rng.uniform(0.88, 1.12)
    noisy = np.clip(np.rint(lit + rng.normal(0, 3, lit.shape)), 0, 255).astype(np.uint8)
    return np.broadcast_to(noisy, pixels.shape)


def _features(numbered: tuple[int, Row], *, drop: Path, graph: bytes) -> NDArray[np.float32] | None:
    """Features (3, F) of an image by ``READ``; None where it can't be compared."""
    number, row = numbered
    reference = drop / row["reference"]
    if not reference.is_file():
        return None
    rng = np.random.default_rng(number)
    pixels = images.decode(reference.read_bytes())
    made = goldens.golden([shot(pixels, rng) for _ in range(_SHOTS)], limit=LIMIT)
    golden = goldens.encode(made.pixels, made.shown)
    image = (drop / row["image"]).read_bytes()
    asked = ((_CUT, golden), (_CUT, reference.read_bytes()), (_LAID, golden))
    try:
        pairs = [reader.read(image, file) for reader, file in asked]
    except ImageError:
        return None
    return np.stack([features_of(_session(graph), pair) for pair in pairs])


@functools.cache
def _session(graph: bytes) -> ort.InferenceSession:
    return packing.one_thread_session(graph)


def _parser() -> argparse.ArgumentParser:
    parser = golden_variation.parser(__doc__)
    parser.add_argument("--every", type=int, default=4, help="take every so-many-th image")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
