"""A model bundle to one that edge machines and the service decide with, signed.

spark-submit jobs/export.py --to edge.zip --key plant.key [--config FILE] [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["export", *sys.argv[1:]]))
