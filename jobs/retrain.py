"""Train again on what has verdicts by now: a challenger, compared with the champion.

spark-submit jobs/retrain.py --config nightly.toml [--if-alarmed] [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["retrain", *sys.argv[1:]]))
