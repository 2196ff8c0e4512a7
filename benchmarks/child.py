"""One score job in a process of its own, watched from outside: start-up, growth, memory.

``python -m benchmarks.child FOLDER KEY=VALUE ...`` scores ``images`` in FOLDER by its ``bundle``
and prints a JSON object: the times when the session was ready and when the scores were there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data, memory

_LIMIT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Seconds since the command was given, of the job alone, and the peak of memory."""

    ready: float
    scored: float
    peak: memory.Peak

    @property
    def job(self) -> float:
        """Return the seconds that the score job took."""
        return self.scored - self.ready


def score(folder: Path, source: data.Source, *overrides: str) -> Run:
    """Score the tables in ``folder`` in a fresh process.

    Raises
    ------
    RuntimeError : the process failed; with the end of what it said.
    """
    settings = [*source.overrides, *overrides]
    command = [sys.executable, "-m", "benchmarks.child", str(folder), *settings]
    began = time.time()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        with memory.watched(process.pid) as peak:
            said, complaints = process.communicate(timeout=_LIMIT_S)
        if process.returncode != 0:
            msg = f"{' '.join(command)} failed\n{complaints[-4000:]}"
            raise RuntimeError(msg)
    times = json.loads(said.splitlines()[-1])
    return Run(ready=times["ready"] - began, scored=times["scored"] - began, peak=peak)


def main(arguments: Sequence[str]) -> int:
    """Score and print the times."""
    from pcb_spark.lake import folders, session
    from pcb_spark.pipeline import Job, run_score
    from pcb_spark.pipeline import config as configuration
    from pcb_spark.pipeline.jobs import JOBS

    folder, *overrides = arguments
    local = folders.conf_folder() / "local.toml"
    config = configuration.load(local, [f"paths.out='{folder}'", *overrides])
    spark = session.get(config, app_name="benchmarks", lasts=JOBS["score"].lasts(config))
    ready = time.time()
    run_score(Job(spark=spark, config=config, run_id="bench"))
    scored = time.time()
    session.stop(spark)
    sys.stdout.write(json.dumps({"ready": ready, "scored": scored}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
