"""Capture dates before a day leave the tables.

spark-submit jobs/prune.py --before 2026-01-31 --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["prune", *sys.argv[1:]]))
