"""What is left for people, with pictures and heat maps, for the review page.

spark-submit jobs/review_queue.py --config nightly.toml --to out/review [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["review-queue", *sys.argv[1:]]))
