"""Ingest, golden, featurize, train, score and report in one session.

spark-submit jobs/run.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["run", *sys.argv[1:]]))
