"""One board: its images, and what was decided of each and why, as a page or JSON.

spark-submit jobs/explain.py BOARD --to FILE --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["explain", *sys.argv[1:]]))
