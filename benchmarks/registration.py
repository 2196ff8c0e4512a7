"""What aligning an image with its reference is worth, and which features to read off the pair.

    python -m benchmarks.registration --data DROP --weights RESNET50.onnx --scratch DIR

Every pair of the drop is scored as it is, with the image moved and filled up from the reference
(what models of earlier versions do), and cut to what both show in the reference's brightness.
LightGBM on one's own features, folds forward in time, AUC. One thread; some 25 minutes for 6,664
pairs. What is in DIR already is not computed again; ``--every 3`` takes every third board.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import lightgbm
import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import packing
from pcb_spark.core import batches, images, registration
from pcb_spark.core.errors import ImageError
from pcb_spark.core.pairs import Reading
from pcb_spark.learning.folds import plan_folds
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.network import backbone, graphs

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]
    Way = Callable[[Pixels, Pixels], tuple[Pixels, Pixels]]

LIMIT = 0.08
SPEC = graphs.FeatureSpec(
    levels=(graphs.PIXELS, "layer1", "layer2"), pooling=("max",), reading=Reading(difference=True)
)
#: Levels, and the share of their numbers that a tree may use.
SETS: dict[tuple[str, ...], float] = {
    ("pixels",): 0.5,
    ("layer1",): 0.1,
    ("layer1", "layer2"): 0.1,
    ("pixels", "layer1"): 0.1,
    ("pixels", "layer1", "layer2"): 0.1,
}


def _filled(image: Pixels, reference: Pixels) -> tuple[Pixels, Pixels]:
    return registration.fill(image, reference, limit=LIMIT), reference


def _cut(image: Pixels, reference: Pixels) -> tuple[Pixels, Pixels]:
    return registration.align(image, reference, limit=LIMIT)


WAYS: dict[str, Way] = {"as it is": lambda *pair: pair, "filled": _filled, "cut, matched": _cut}


def main() -> int:
    """Run the benchmark and write a table to standard output."""
    options = _parser().parse_args()
    rows = _every(read_rows(options.data), options.every)
    session = _session(options.weights)
    options.scratch.mkdir(parents=True, exist_ok=True)
    say = sys.stdout.write
    say(f"{len(rows)} pairs, {sum(row['verdict'] == 'fail' for row in rows)} of them fail\n")
    say(f"| aligned | ms a pair | {' | '.join('+'.join(names) for names in SETS)} |\n")
    say(f"| --- | --- |{' --- |' * len(SETS)}\n")
    slices = graphs.column_slices(SPEC)
    for name, way in WAYS.items():
        path = options.scratch / f"{name.replace(', ', '_').replace(' ', '_')}_{options.every}.npz"
        if not path.exists():
            np.savez(path, **_features(rows, options.data, session, way))
        found = np.load(path)
        used = [row for row, usable in zip(rows, found["usable"], strict=True) if usable]
        aucs = []
        for levels, share in SETS.items():
            columns = [slices[key] for key in slices if key[0] in levels]
            chosen = np.hstack([found["features"][:, each] for each in columns])
            aucs.append(f"{_auc(used, chosen, share):.4f}")
        cost = 1000 * float(found["seconds"]) / len(rows)
        say(f"| {name} ({len(rows) - len(used)} beyond) | {cost:.2f} | {' | '.join(aucs)} |\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="camera drop with verdicts.csv")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-50 in ONNX")
    parser.add_argument("--scratch", type=Path, required=True, help="keeps what is computed")
    parser.add_argument("--every", type=int, default=1, help="take every Nth board")
    return parser


def read_rows(drop: Path) -> list[Row]:
    """Rows of a drop's ``verdicts.csv`` that have a verdict, in the order of time."""
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


def _features(
    rows: list[Row], drop: Path, session: onnxruntime.InferenceSession, way: Way
) -> dict[str, NDArray[np.float32]]:
    found, usable, seconds = [], [], 0.0
    for row in rows:
        pair = [images.decode((drop / row[name]).read_bytes()) for name in ("image", "reference")]
        began = time.process_time()
        try:
            image, golden = way(pair[0], pair[1])
        except ImageError:
            usable.append(False)
            continue
        finally:
            seconds += time.process_time() - began
        usable.append(True)
        feed = batches.feed([image], [golden], [0])
        found.append(session.run([batches.FEATURES], feed)[0][0, 0])
    return {
        "features": np.array(found, dtype=np.float32),
        "usable": np.array(usable),
        "seconds": np.array(seconds),
    }


def _auc(rows: list[Row], features: NDArray[np.float32], feature_fraction: float) -> float:
    """Mean over the folds of the AUC on days that come after those of the training."""
    days = np.array([date.fromisoformat(row["captured_at"][:10]) for row in rows])
    fails = np.array([row["verdict"] == "fail" for row in rows])
    config = ClassifierConfig(feature_fraction=feature_fraction)
    wanted = config.for_reference_mode(difference=True).model_dump()
    wanted.pop("num_tasks")
    trees = wanted.pop("num_iterations")
    settings = {**wanted, "objective": "binary", "verbosity": -1, "num_threads": 2, "seed": 0}
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
