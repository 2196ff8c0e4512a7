"""Ray Data over the same tables, graph, decoder and batches; runs in an environment of its own.

``python -m benchmarks.ray_data GRAPH ACTORS LAYOUT OUT FOLDER ..`` scores folders of Parquet in
batches of ``packing.Layout``, which is given as JSON, and prints the seconds that each took as a
JSON list. pyarrow 13, which petastorm needs, is older than what Ray takes, hence the other
environment; nothing here may import Spark.
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
#: Ray makes one block of small files, whatever number of them it is asked for, and one actor then
#: has all the work.
_ROWS_A_BLOCK = 64


class Scorer:
    """An actor with one session of one thread."""

    def __init__(self, graph: str, layout: packing.Layout) -> None:
        self.session = packing.one_thread_session(Path(graph).read_bytes())
        self.layout = layout

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score the files of a batch."""
        references = batch.get("reference", [None] * len(batch["image"]))
        pairs = zip(batch["image"], references, strict=True)
        samples = [packing.Sample(image, reference) for image, reference in pairs]
        feeds = packing.feeds(samples, self.layout)
        found = [p for feed in feeds for p in self.session.run(["probability"], feed)[0][0]]
        return {"image_id": batch["image_id"], "probability": found}


def main(arguments: Sequence[str]) -> int:
    """Score each folder and print the times."""
    import ray

    graph, actors, layout_text, out, *folders = arguments
    layout = packing.Layout.from_json(layout_text)
    cpus = int(actors) + _SPARE_CPUS
    ray.init(num_cpus=cpus, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    columns = ["image_id", "image", *(["reference"] if layout.reading.difference else [])]
    took = []
    for folder in folders:
        began = time.perf_counter()
        table = ray.data.read_parquet(folder).select_columns(columns)
        table.repartition(target_num_rows_per_block=_ROWS_A_BLOCK).map_batches(
            Scorer,
            fn_constructor_args=(graph, layout),
            batch_size=layout.batch_size,
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
