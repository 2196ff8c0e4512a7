"""``python -m benchmarks``: measure, print tables, keep figures and plot; see ``make bench``."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data, plot, rows, run, setup

log = logging.getLogger("benchmarks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for and return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    task = setup.Task(
        source=data.find(options.data, options.backbone),
        out=Path(options.out),
        size=setup.QUICK if options.quick else setup.COMPLETE,
    )
    shutil.rmtree(task.work, ignore_errors=True)
    found: list[rows.Row] = []
    for name, part in run.PARTS.items():
        if not (options.quick and name in run.LONG):
            found += map(rows.borne_out, part(task))
            rows.save(found, task.out / "results.json")
    plot.draw(found, task.out / "results.png")
    sys.stdout.write(run.report(found, task))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some minutes; rates are lower bounds")
    parser.add_argument("--data", type=Path, default=None, help="a camera drop")
    parser.add_argument("--backbone", default=None, help="weights, as backbone.weights")
    parser.add_argument("--out", default="out/bench", help="folder for figures and tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
