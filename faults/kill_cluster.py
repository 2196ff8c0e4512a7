"""Kill workers of a standalone cluster as well as the driver of the ingest service, and count.

python -m faults.kill_cluster --images 5000 --kills 12 --worker-kills 8 --seed 0

A master and two workers run on loopback (``tests/cluster/standalone.py``), and the service is
submitted to them. Some services lose a worker, with its executor, while they write; another worker
takes its place, and the service goes on for some seconds before it is killed itself. A driver may
give up after the loss; what counts is what the tables hold in the end.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from faults.kill_ingest import WRITES_WITHIN, Start, is_writing, parser, place, run, tell, words
from faults.standalone import Cluster, node_environment, standalone
from pcb_spark.lake import jars

if TYPE_CHECKING:
    from faults.accounts import Outcome

ROOT = Path(__file__).resolve().parents[1]
PROPERTIES = jars.default_properties_file()
SWITCH = {"ORT_LOAD_CONFIG_FROM_MODEL": "1"}
#: Seconds that a service goes on without the worker that it lost.
GOES_ON = 20.0


def submitting(cluster: Cluster, archive: Path) -> Start:
    """A way to start the service on ``cluster``, with the package in ``archive``."""
    ivy = jars.resolve(jars.read_properties(PROPERTIES))
    settings = {
        "spark.jars.ivy": str(ivy[0].parents[1]),
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
    }
    options = [
        *("--deploy-mode", "client", "--py-files", str(archive)),
        *("--properties-file", str(PROPERTIES)),
        *("--driver-memory", "1g", "--executor-memory", "1g", "--total-executor-cores", "2"),
        *(word for key, value in settings.items() for word in ("--conf", f"{key}={value}")),
        str(ROOT / "jobs" / "ingest.py"),
    ]

    def start(drop: Path, out: Path, mode: str, log: Path) -> subprocess.Popen[bytes]:
        environment = {**node_environment(cluster.python), **SWITCH}
        with log.open("ab") as output:
            return subprocess.Popen(
                cluster.command([*options, mode, *words(drop, out)]),
                env=environment, cwd=cluster.folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    return start


def losing_workers(
    cluster: Cluster, out: Path, chosen: set[int], drawn: random.Random
) -> Callable[[int, Outcome], None]:
    """Let the chosen services lose a worker while they write."""

    def disturb(number: int, outcome: Outcome) -> None:
        if number not in chosen:
            return
        deadline = time.monotonic() + WRITES_WITHIN
        while not is_writing(out) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(drawn.uniform(0.0, 4.0))
        cluster.kill_worker(drawn.randrange(2))
        outcome.lost_workers.add(number)
        cluster.start_worker()
        time.sleep(GOES_ON)
        cluster.wait_for_workers()

    return disturb


def main() -> int:
    """Run it in a folder of its own and say what came of it."""
    arguments = parser(__doc__ or "", kills=12)
    arguments.add_argument("--worker-kills", type=int, default=8)
    options = arguments.parse_args()
    drawn = random.Random(options.seed)
    chosen = set(drawn.sample(range(options.kills), options.worker_kills))
    with place(options.folder) as folder:
        archive = shutil.make_archive(str(folder / "package"), "zip", ROOT, "pcb_spark")
        with standalone(folder, worker_memory="1280m") as cluster:
            outcome = run(
                folder / "plant",
                images=options.images, kills=options.kills, seed=options.seed,
                start=submitting(cluster, Path(archive)),
                disturb=losing_workers(cluster, folder / "plant" / "out", chosen, drawn),
            )  # fmt: skip
    return tell(outcome, options.images)


if __name__ == "__main__":
    sys.exit(main())
