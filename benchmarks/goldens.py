"""What golden images of the line's own boards are worth, and how a line begins without any.

    python -m benchmarks.goldens --weights RESNET50.onnx --scratch DIR [--data DROP] [--jobs N]

Two sets of 1,500 images are rendered: four designs that name their positions alike, a camera that
drifts, and a process that is steady in one of them and uses all of its tolerance in the other. For
each: AUC of the classifier as it is served, folds forward in time, with the references of the drop,
with own golden images, with own ones of whose seven images one is a defect, with several of these
side by side or each judged by a classifier of its own, and without any; on the images that all of
them can judge. Then the line begins: every few nights a classifier of the days before, and the
threshold of the nights before. ``--data`` takes another drop in place of the sets. What is in DIR
already is not computed again. Some 15 minutes of one core a set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from benchmarks import golden_nights as nights
from benchmarks import golden_pairs as pairs
from benchmarks import golden_tables as tables
from benchmarks.golden_pairs import HANDED_OVER, NONE, OWN, WRONG, Seen, Task
from benchmarks.golden_tables import Drop
from benchmarks.registration import read_rows
from pcb_spark.demo.camera_drop import render_drop
from pcb_spark.demo.units import STEADY, WILD
from pcb_spark.learning import lightgbm_on_driver
from pcb_spark.learning.settings import ClassifierConfig
from pcb_spark.network import backbone, features, graphs
from pcb_spark.network.settings import FeaturesConfig

if TYPE_CHECKING:
    from benchmarks.golden_tables import Judgement, Scores

#: Rendered sets: the seed, and how much good images differ.
SETS = {"steady": (0, STEADY), "wild": (1, WILD)}
#: What is computed, and what stands beside one another in a judgement.
WAYS = {
    HANDED_OVER: (HANDED_OVER,),
    OWN: (OWN,),
    WRONG: (WRONG,),
    NONE: (NONE,),
    "both": (HANDED_OVER, OWN),
    "handed over and the image itself": (HANDED_OVER, NONE),
    "own and the image itself": (OWN, NONE),
    "both and the image itself": (HANDED_OVER, OWN, NONE),
}
#: As own golden images are served, and the same where of each one's seven images one is a defect.
SERVED, SERVED_WRONG = "own and the image itself, apart", "one of seven wrong, apart"
#: Ways that are judged each by a classifier of its own, and how much its log-odds count.
APART = {
    "both, apart": {HANDED_OVER: 0.5, OWN: 0.5},
    "handed over and the image itself, apart": {HANDED_OVER: 0.75, NONE: 0.25},
    SERVED: {OWN: 0.75, NONE: 0.25},
    SERVED_WRONG: {WRONG: 0.75, NONE: 0.25},
}
SEEDS = 3
_LEAST = 1e-9  # of a score that has log-odds


def main() -> int:
    """Run the benchmark and write two tables a set to standard output."""
    options = _parser().parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    kinds = {
        way: _graph(options.weights, options.scratch, difference=way != NONE)
        for way in (HANDED_OVER, OWN, WRONG, NONE)
    }
    drops = {"": options.data} if options.data else _rendered(options.scratch)
    # forked processes would wait for threads of OpenMP that they haven't got
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for name, folder in drops.items():
            scratch = options.scratch / f"pairs_{name}"
            scratch.mkdir(exist_ok=True)
            seen = _seen(pool, kinds, Task(folder, scratch, OWN, kinds[OWN], 0, options.jobs))
            drop = Drop.of(read_rows(folder))
            sys.stdout.write(f"\n{name or folder}\n\n")
            if OWN not in seen:
                sys.stdout.write("no image has a golden image of its position\n")
                continue
            judged = _judged(pool, drop, seen)
            tables.say_ways(drop, judged)
            sys.stdout.write("\n")
            served = {name: judged[name] for name in (SERVED, SERVED_WRONG) if name in judged}
            tables.say_ways(drop, served, than=SERVED)
            sys.stdout.write("\n")
            nights.say_nights(drop.rows, seen[OWN], drop.fails, drop.days, options.nights)
    return 0


def _rendered(scratch: Path) -> dict[str, Path]:
    for name, (seed, process) in SETS.items():
        if not (scratch / name / "verdicts.csv").exists():
            render_drop(scratch / name, seed=seed, process=process)
    return {name: scratch / name for name in SETS}


def _graph(weights: Path, scratch: Path, *, difference: bool) -> Path:
    path = scratch / f"{'difference' if difference else 'alone'}.onnx"
    if not path.exists():
        source = backbone.load(str(weights), cache_dir=weights.parent)
        spec = features.spec_of(FeaturesConfig(image_levels=()), difference=difference)
        graph = graphs.with_threads(features.build(source, spec).graph, 1)
        path.write_bytes(graph.SerializeToString())
    return path


def _seen(pool: ProcessPoolExecutor, kinds: Mapping[str, Path], first: Task) -> dict[str, Seen]:
    """Features of every way that has any; ``kinds`` names the graph of each."""
    tasks = {way: first._replace(way=way, graph=graph).all_parts for way, graph in kinds.items()}
    every = [task for some in tasks.values() for task in some]
    list(pool.map(pairs.keep_goldens, every))
    list(pool.map(pairs.keep_features, every))
    found = {way: pairs.read_features(some) for way, some in tasks.items()}
    return {way: seen for way, seen in found.items() if seen.there.any()}


def _judged(
    pool: ProcessPoolExecutor, drop: Drop, seen: Mapping[str, Seen]
) -> dict[str, Judgement]:
    """What each way makes of the rows."""
    joined = {
        name: Seen(
            np.all([seen[way].there for way in ways], axis=0),
            np.hstack([seen[way].values for way in ways]),
        )
        for name, ways in WAYS.items()
        if set(ways) <= seen.keys()
    }
    wanted = list(product(joined, range(SEEDS)))
    scores = pool.map(
        scores_forward,
        [drop] * len(wanted),
        [joined[name] for name, _ in wanted],
        [name != NONE for name, _ in wanted],
        [seed for _, seed in wanted],
    )
    by_way = dict(zip(wanted, scores, strict=True))
    judged = {
        name: (joined[name].there, [by_way[name, seed] for seed in range(SEEDS)]) for name in joined
    }
    return judged | apart(judged)


def apart(judged: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """Mean log-odds of several classifiers, by the names of ``APART``."""
    found = {}
    for name, weights in APART.items():
        if weights.keys() <= judged.keys():
            there = np.all([judged[way][0] for way in weights], axis=0)
            by_way = [judged[way][1] for way in weights]
            found[name] = (
                there,
                [mean_odds(each, [*weights.values()]) for each in zip(*by_way, strict=True)],
            )
    return found


def mean_odds(scores: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Scores (n,) of several classifiers as one, by the weighed mean of their log-odds."""
    odds = logit(np.clip(scores, _LEAST, 1 - _LEAST))
    return np.asarray(expit(np.average(odds, axis=0, weights=weights)))


def scores_forward(drop: Drop, seen: Seen, difference: bool, seed: int) -> Scores:
    """Out-of-fold scores (n,) by the classifier as it is served; NaN where there is none."""
    windows = []
    for fold in drop.folds:
        train = seen.there & (drop.days < np.datetime64(fold.train_before))
        windows.append((np.flatnonzero(train), np.flatnonzero(drop.fold == fold.index)))
    settings = ClassifierConfig().for_reference_mode(difference=difference)
    found = lightgbm_on_driver.predict_forward(
        seen.values, drop.fails, windows, settings, seed=seed, threads=1
    )
    scores = np.full(len(drop.rows), np.nan)
    for (_, test), values in zip(windows, found, strict=True):
        scores[test] = values
    return np.where(seen.there, scores, np.nan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="camera drop with verdicts.csv")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-50 in ONNX")
    parser.add_argument("--scratch", type=Path, required=True, help="keeps what is computed")
    parser.add_argument("--nights", type=int, default=3, help="nights between retrainings")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
