"""Ray Data over the same tables, graph, decoder and batches; runs in an environment of its own.

``python -m benchmarks.ray_data GRAPH ACTORS DIFFERENCE BATCH OUT SMALL LARGE`` scores two folders
of Parquet and prints the seconds that each took as a JSON list. pyarrow 13, which petastorm needs,
is older than what Ray takes, hence the other environment; nothing here may import Spark.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import packing

#: Ray's reading and writing need processors of their own beside the actors, or it never starts.
_SPARE_CPUS = 2


class Scorer:
    """An actor with one session of one thread."""

    def __init__(self, graph: str, batch_size: int, *, difference: bool) -> None:
        self.session = packing.one_thread_session(Path(graph).read_bytes())
        self.batch_size = batch_size
        self.difference = difference

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score the files of a batch."""
        references = batch.get("reference", [None] * len(batch["image"]))
        pairs = zip(batch["image"], references, strict=True)
        samples = [packing.Sample(image, reference) for image, reference in pairs]
        feeds = packing.feeds(samples, self.batch_size, difference=self.difference)
        found = [p for feed in feeds for p in self.session.run(["probability"], feed)[0][0]]
        return {"image_id": batch["image_id"], "probability": found}


def main(arguments: Sequence[str]) -> int:
    """Score both folders and print the times."""
    import ray

    graph, actors, difference, batch_size, out, *folders = arguments
    cpus = int(actors) + _SPARE_CPUS
    ray.init(num_cpus=cpus, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    columns = ["image_id", "image", *(["reference"] if difference == "yes" else [])]
    took = []
    for folder in folders:
        began = time.perf_counter()
        ray.data.read_parquet(folder, columns=columns).map_batches(
            Scorer,
            fn_constructor_args=(graph, int(batch_size)),
            fn_constructor_kwargs={"difference": difference == "yes"},
            batch_size=int(batch_size),
            compute=ray.data.ActorPoolStrategy(size=int(actors)),
            num_cpus=1,
        ).write_parquet(out)
        took.append(time.perf_counter() - began)
    ray.shutdown()
    sys.stdout.write(json.dumps(took) + "\n")
    return 0


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    sys.exit(main(sys.argv[1:]))
