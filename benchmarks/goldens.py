"""What golden images of the line's own boards are worth, and how a line begins without any.

    python -m benchmarks.goldens --data DROP --weights RESNET50.onnx --scratch DIR

The drop is gone through day by day: each image is compared with the golden image that earlier days
made of what was found good, by the rules of ``pcb_spark.golden``. AUC of LightGBM, folds forward in
time, with the references of the drop, with own golden images, with own ones for which every tenth
defect was taken for good, and without any; on the images that all of them can judge. Then the line
begins: every few nights a classifier of the days before, and the threshold of the nights before.
What is in DIR already is not computed again. One thread; some 10 minutes for 1,500 images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import golden_nights as nights
from benchmarks import packing, registration
from pcb_spark.core import batches, images, sketches
from pcb_spark.core import registration as aligning
from pcb_spark.core.errors import ImageError
from pcb_spark.golden.settings import GoldenConfig
from pcb_spark.golden.views import Good, Position
from pcb_spark.learning.folds import plan_folds
from pcb_spark.network import backbone, features, graphs
from pcb_spark.network.settings import FeaturesConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Row = dict[str, str]
    Pixels = NDArray[np.uint8]
    Key = tuple[str, str, str]

RULE = GoldenConfig()
#: An image is compared up to so many times ``max_misfit``, as ``golden.choosing`` has it.
_MOST = 2.0


def main() -> int:
    """Run the benchmark and write two tables to standard output."""
    options = _parser().parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    rows = registration.read_rows(options.data)
    pixels = {
        row["image"]: images.decode((options.data / row["image"]).read_bytes()) for row in rows
    }
    fails, days = _verdicts(rows), _days(rows)
    own = compared(rows, pixels, wrong=0.0)
    ways: dict[str, Mapping[str, Pixels] | None] = {
        "handed over": _handed_over(rows, options.data),
        "own": own,
        "own, a tenth of the defects taken for good": compared(rows, pixels, wrong=0.1),
        "none": None,
    }
    seen = {
        name: _cached(options.scratch / f"{number}.npz", rows, pixels, way, options.weights)
        for number, (name, way) in enumerate(ways.items())
        if way is None or way
    }
    _say_ways(seen, fails, days)
    nights.say_nights(rows, seen["own"], fails, days, options.nights)
    return 0


def compared(
    rows: Sequence[Row], pixels: Mapping[str, Pixels], *, wrong: float
) -> dict[str, Pixels]:
    """The golden image of each image that has one, made of earlier days.

    Parameters
    ----------
    wrong : share of the defects that are taken for good.
    """
    rng = np.random.default_rng(0)
    positions: dict[str, Position] = {}
    made: dict[tuple[str, int], Pixels] = {}
    found: dict[str, Pixels] = {}
    for day, of_day in groupby(rows, key=nights.day_of):
        today = list(of_day)
        for row in today:
            golden = _nearest(_place(row), pixels[row["image"]], positions, made)
            if golden is not None:
                found[row["image"]] = golden
        good = [row for row in today if row["verdict"] == "pass" or rng.random() < wrong]
        for row in good:
            position = positions.setdefault(_place(row), Position(RULE))
            for _ in position.add(_good(row, pixels[row["image"]], day)):
                pass
        for place, position in positions.items():
            for new in position.close_day():
                if new.png is not None:
                    made[place, new.view] = images.decode(new.png)
    return found


def _nearest(
    place: str,
    image: Pixels,
    positions: Mapping[str, Position],
    made: Mapping[tuple[str, int], Pixels],
) -> Pixels | None:
    own = sketches.sketch(image)
    apart = [
        (sketches.misfit(own, view.sketch), view.number)
        for view in (positions[place].views if place in positions else ())
        if view.sketch is not None
    ]
    best = min(apart, default=None)
    if best is None or best[0] > _MOST * RULE.max_misfit:
        return None
    return made[place, best[1]]


def _good(row: Row, pixels: Pixels, day: date) -> Good:
    return Good(
        image_id=row["image"],
        board_id=row["board_id"],
        captured_at=datetime.combine(day, datetime.min.time(), UTC),
        known_from=day + timedelta(days=1),
        pixels=pixels,
    )


def _place(row: Row) -> str:
    return " ".join(row.get(name) or "" for name in ("line", "part_number", "position"))


def _days(rows: Sequence[Row]) -> NDArray[np.datetime64]:
    return np.array([nights.day_of(row) for row in rows], dtype="datetime64[D]")


def _verdicts(rows: Sequence[Row]) -> NDArray[np.bool_]:
    return np.array([row["verdict"] == "fail" for row in rows])


def _handed_over(rows: Sequence[Row], drop: Path) -> dict[str, Pixels]:
    """References of the drop by image; none where it has none."""
    files = {row["reference"] for row in rows if row.get("reference")}
    read = {
        name: images.decode((drop / name).read_bytes()) for name in files if (drop / name).is_file()
    }
    return {row["image"]: read[row["reference"]] for row in rows if row.get("reference") in read}


def _cached(
    path: Path,
    rows: Sequence[Row],
    pixels: Mapping[str, Pixels],
    golden: Mapping[str, Pixels] | None,
    weights: Path,
) -> nights.Seen:
    if not path.exists():
        found = _features(rows, pixels, golden, weights)
        np.savez(path, there=found.there, values=found.values)
    kept = np.load(path)
    return nights.Seen(kept["there"], kept["values"])


def _features(
    rows: Sequence[Row],
    pixels: Mapping[str, Pixels],
    golden: Mapping[str, Pixels] | None,
    weights: Path,
) -> nights.Seen:
    spec = features.spec_of(FeaturesConfig(), difference=golden is not None)
    source = backbone.load(str(weights), cache_dir=weights.parent)
    graph = features.build(source, spec).graph
    session = packing.one_thread_session(graphs.with_threads(graph, 1).SerializeToString())
    found = np.zeros((len(rows), spec.width), dtype=np.float32)
    there = np.zeros(len(rows), dtype=bool)
    for number, row in enumerate(rows):
        feed = _feed(pixels[row["image"]], golden, row["image"], spec.reading.max_offset)
        if feed is not None:
            found[number] = session.run([batches.FEATURES], feed)[0][0, 0]
            there[number] = True
    return nights.Seen(there, found)


def _feed(
    image: Pixels, golden: Mapping[str, Pixels] | None, name: str, limit: float
) -> dict[str, NDArray[np.int64]] | None:
    """What the graph is fed with; None where the image can't be compared."""
    if golden is None:
        return batches.feed([image], None, ())
    if name not in golden:
        return None
    try:
        one, other = aligning.align(image, golden[name], limit=limit)
    except ImageError:
        return None
    return batches.feed([one], [other], [0])


def _say_ways(
    seen: Mapping[str, nights.Seen], fails: NDArray[np.bool_], days: NDArray[np.datetime64]
) -> None:
    say = sys.stdout.write
    everywhere = np.all([each.there for each in seen.values()], axis=0)
    folds = plan_folds(days.astype(object).tolist())
    tested = days >= np.datetime64(folds[0].test_from)
    say(f"n = {(everywhere & tested).sum()} of {tested.sum()} images of the test periods\n")
    say("| compared with | AUC, mean of folds | judged |\n| --- | --- | --- |\n")
    for name, each in seen.items():
        aucs = []
        for fold in folds:
            train = each.there & (days < np.datetime64(fold.train_before))
            test = everywhere & (days >= np.datetime64(fold.test_from))
            test &= days <= np.datetime64(fold.test_until)
            scores = nights.scores_of(each, fails, train, test, difference=name != "none")
            aucs.append(roc_auc_score(fails[test], scores))
        judged = each.there[tested].mean()
        say(f"| {name} | {np.mean(aucs):.4f} | {judged:.1%} |\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="camera drop with verdicts.csv")
    parser.add_argument("--weights", type=Path, required=True, help="ResNet-50 in ONNX")
    parser.add_argument("--scratch", type=Path, required=True, help="keeps what is computed")
    parser.add_argument("--nights", type=int, default=3, help="nights between retrainings")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
