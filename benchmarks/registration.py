"""What aligning an image with its reference is worth, when the camera stops a few pixels off.

    python -m benchmarks.registration --data DROP --weights RESNET50.onnx --scratch DIR

Every tile is cut from its picture at a random offset of up to 0, 2, 4 or 6 px each way, its
reference at offset 0, so that what enters at the border is what was there. Network (difference of
layer1, maxima) and pixel difference are each judged with and without ``registration.align``:
LightGBM on one's own features, folds forward in time, AUC. One thread; about 10 minutes for every
third board of 6,664 tiles. Parts that are in DIR already are not computed again.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import lightgbm
import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks import packing
from pcb_spark.core import batches, images, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.learning import pixel_difference
from pcb_spark.learning.folds import plan_folds
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.network import backbone, graphs

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    Row = dict[str, str]

SHIFTS = (0, 2, 4, 6)
BORDER = max(SHIFTS)
LIMIT = 0.08
PART = 200
SPEC = graphs.FeatureSpec(levels=("layer1",), pooling=("max",), difference=True)


@dataclass(kw_only=True)
class Judged:
    """Features of one part: (tiles, shifts, 2, numbers); the third axis is as is, aligned."""

    network: NDArray[np.float32]
    pixels: NDArray[np.float32]
    beyond: NDArray[np.int64]
    seconds: float


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = _parser().parse_args()
    rows = _every(_rows(options.data), options.every)
    session = _session(options.weights)
    options.scratch.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(rows), PART):
        path = options.scratch / f"every{options.every}_{start:05d}.npz"
        if not path.exists():
            part = _judge(rows[start : start + PART], options.data, session)
            np.savez(path, **vars(part))
            sys.stderr.write(f"{start + PART} of {len(rows)}\n")
        parts.append(np.load(path))
    _report(rows, parts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="camera drop with verdicts.csv")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-50 in ONNX")
    parser.add_argument("--scratch", type=Path, required=True, help="keeps what is computed")
    parser.add_argument("--every", type=int, default=3, help="take every Nth board")
    return parser


def _rows(drop: Path) -> list[Row]:
    with (drop / "verdicts.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["verdict"]]
    return sorted(rows, key=lambda row: (row["captured_at"], row["image"]))


def _every(rows: list[Row], step: int) -> list[Row]:
    boards = sorted({row["board_id"] for row in rows})[::step]
    return [row for row in rows if row["board_id"] in set(boards)]


def _session(weights: Path) -> onnxruntime.InferenceSession:
    source = backbone.load(str(weights), cache_dir=weights.parent)
    graph = graphs.features_graph(backbone.cut(source, SPEC.stages), SPEC)
    return packing.one_thread_session(graphs.with_threads(graph, 1).SerializeToString())


def _judge(rows: list[Row], drop: Path, session: onnxruntime.InferenceSession) -> Judged:
    network, pixels, beyond, seconds = [], [], np.zeros(len(SHIFTS), dtype=np.int64), 0.0
    for row in rows:
        golden = _cut(drop / row["reference"], 0, 0)
        shifted = list(_shifted(drop / row["image"], row["image"]))
        began = time.process_time()
        aligned = [_aligned(image, golden) for image in shifted]
        seconds += time.process_time() - began
        beyond += [image is None for image in aligned]
        kept = [b if b is not None else a for a, b in zip(shifted, aligned, strict=True)]
        pairs = [image for pair in zip(shifted, kept, strict=True) for image in pair]
        feed = batches.feed(pairs, [golden], [0] * len(pairs))
        network.append(session.run([batches.FEATURES], feed)[0][0])
        pixels.append([pixel_difference.difference_features(image, golden) for image in pairs])
    shape = (len(rows), len(SHIFTS), 2, -1)
    return Judged(
        network=np.array(network, dtype=np.float32).reshape(shape),
        pixels=np.array(pixels, dtype=np.float32).reshape(shape),
        beyond=beyond,
        seconds=seconds,
    )


def _shifted(path: Path, name: str) -> Iterator[NDArray[np.uint8]]:
    for most in SHIFTS:
        rng = np.random.default_rng([most, *name.encode()])
        down, right = rng.integers(-most, most + 1, 2)
        yield _cut(path, int(down), int(right))


def _cut(path: Path, down: int, right: int) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        width, height = image.size
        box = (BORDER + right, BORDER + down, width - BORDER + right, height - BORDER + down)
        file = io.BytesIO()
        image.crop(box).save(file, "BMP")
    return images.decode(file.getvalue())


def _aligned(image: NDArray[np.uint8], golden: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    try:
        return registration.align(image, golden, limit=LIMIT)
    except ImageError:
        return None


def _report(rows: list[Row], parts: list[dict[str, NDArray[np.float32]]]) -> None:
    say = sys.stdout.write
    beyond = np.sum([part["beyond"] for part in parts], axis=0)
    seconds = sum(float(part["seconds"]) for part in parts)
    say(f"{len(rows)} tiles; {1000 * seconds / len(rows) / len(SHIFTS):.2f} ms a pair to align\n")
    say("| shift up to | features | as is | aligned | not aligned: beyond the limit |\n")
    say("| --- | --- | --- | --- | --- |\n")
    for name, share in (("network", 0.1), ("pixels", 0.5)):
        found = np.concatenate([part[name] for part in parts])
        for at, most in enumerate(SHIFTS):
            plain, aligned = (_auc(rows, found[:, at, how], share) for how in (0, 1))
            say(f"| {most} px | {name} | {plain:.4f} | {aligned:.4f} | {beyond[at]} |\n")


def _auc(rows: list[Row], features: NDArray[np.float32], feature_fraction: float) -> float:
    """Mean over the folds of the AUC on days that come after those of the training."""
    days = np.array([date.fromisoformat(row["captured_at"][:10]) for row in rows])
    fails = np.array([row["verdict"] == "fail" for row in rows])
    config = ClassifierConfig(feature_fraction=feature_fraction)
    wanted = config.for_reference_mode(difference=True).model_dump()
    wanted.pop("num_tasks")
    trees = wanted.pop("num_iterations")
    settings = {**wanted, "objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0}
    scores = []
    for fold in plan_folds(days.tolist()):
        train = days < fold.train_before
        test = (days >= fold.test_from) & (days <= fold.test_until)
        data = lightgbm.Dataset(features[train], fails[train])
        model = lightgbm.train(settings, data, trees)
        scores.append(roc_auc_score(fails[test], model.predict(features[test])))
    return float(np.mean(scores))


if __name__ == "__main__":
    raise SystemExit(main())
