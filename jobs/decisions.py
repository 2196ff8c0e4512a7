"""What nights decided, for AOI and MES: CFX, CSV or JSON, a file a board.

spark-submit jobs/decisions.py --as cfx --to DIR --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["decisions", *sys.argv[1:]]))
