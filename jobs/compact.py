"""Many small files of the tables to few large ones, with the same rows.

spark-submit jobs/compact.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["compact", *sys.argv[1:]]))
