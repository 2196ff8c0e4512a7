"""A service by Ray Serve as its guide shows it: a replica a core, each with a session of its own.

``python -m benchmarks.ray_serve BUNDLE`` says where it is; runs in the environment of Ray, so that
nothing here may import Spark. Pixels are read as everywhere else.
"""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from benchmarks import packing
from pcb_spark.core import batches, bundle
from pcb_spark.core.pairs import PairReader


class Scorer:
    """A replica with one session of one thread."""

    def __init__(self, folder: str) -> None:
        model = bundle.read(Path(folder))
        self.reader = PairReader(model.manifest.reading)
        self.session = packing.one_thread_session(model.parts[bundle.GRAPH])

    async def __call__(self, request: Any) -> dict[str, float]:
        """Score one pair."""
        form = await request.form()
        files = [await form[name].read() for name in ("image", "reference")]
        pair = self.reader.read(*files)
        golden = None if pair.reference is None else [pair.reference]
        inputs = batches.feed([pair.image], golden, [0] if golden else ())
        return {"probability": float(self.session.run([batches.PROBABILITY], inputs)[0][0, 0])}


def main(folder: str) -> None:
    """Serve until SIGTERM."""
    import ray
    from ray import serve

    cores = len(os.sched_getaffinity(0))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray.init(num_cpus=cores + 2, include_dashboard=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    options = {"num_replicas": cores, "ray_actor_options": {"num_cpus": 1}}
    deployment = serve.deployment(**options)(Scorer)
    serve.run(deployment.bind(folder), route_prefix="/predict")
    sys.stdout.write(f"listening at http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1])
