"""Images to features, through SynapseML's ONNXModel or ONNX Runtime alone.

spark-submit jobs/featurize.py --config nightly.toml [--set key=value ...]
"""

from __future__ import annotations

import sys

from pcb_spark.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["featurize", *sys.argv[1:]]))
