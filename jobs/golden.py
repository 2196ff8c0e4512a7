"""Verified-good images to golden images of their positions.

spark-submit jobs/golden.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["golden", *sys.argv[1:]]))
