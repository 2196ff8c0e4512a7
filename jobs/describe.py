"""Images and verdicts to metrics of how good the data are.

spark-submit jobs/describe.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["describe", *sys.argv[1:]]))
