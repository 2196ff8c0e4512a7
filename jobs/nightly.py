"""What no night has scored yet to scores, by the champion.

spark-submit jobs/nightly.py --config nightly.toml [--date YYYY-MM-DD] [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["nightly", *sys.argv[1:]]))
