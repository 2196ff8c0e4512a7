"""Images and verdicts to trials of features and trees, ranked forward in time.

spark-submit jobs/tune.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["tune", *sys.argv[1:]]))
