"""Kill the ingest service with SIGKILL at random moments while images arrive, and count.

python -m faults.kill_ingest --images 5000 --kills 20 --seed 0

A thread lets the files arrive: most at once, some in two halves, some empty at first, some no
pictures at all. Another one reads the table all the time. The service runs in a process group of
its own, which gets SIGKILL as a whole: Python, Java and its workers. In the end every file has to
be in ``images``, byte for byte, or in ``rejects``, once, and petastorm has to read every image.
``faults.kill_cluster`` does the same to a cluster and its workers.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from faults.accounts import Outcome, check, watch
from faults.arrivals import arrive

SETTINGS = (
    "ingest.trigger_seconds=1", "ingest.files_per_batch=200", "ingest.look_seconds=8",
    'backbone.weights="untrained"',  # ingest needs none, and the machine need not have any
    'spark.conf={"spark.sql.shuffle.partitions"="2", "spark.sql.adaptive.enabled"="false"}',
)  # fmt: skip
LOCAL = ('spark.master="local[2]"', 'spark.driver_memory="1g"')
#: Starts the service on a drop and an output, in a mode, with a file for what it says.
Start = Callable[[Path, Path, str, Path], subprocess.Popen[bytes]]
READY = b"waiting for files"
#: Seconds over which a service's share of the images arrives, from its start on.
ARRIVE = 15.0
#: Seconds within which a service that has something to do should begin to write it.
WRITES_WITHIN = 120.0
#: Seconds after which something hangs, on however busy a machine.
PATIENCE = 1800.0


def start_local(drop: Path, out: Path, mode: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the service in a process group of its own."""
    program = "import sys; from pcb_spark.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "ingest", mode, *words(drop, out, LOCAL)]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def words(drop: Path, out: Path, more: Sequence[str] = ()) -> list[str]:
    """The settings of the service, as words of its command line."""
    paths = (f"paths.drop='{drop}'", f"paths.out='{out}'")
    return [word for setting in (*paths, *SETTINGS, *more) for word in ("--set", setting)]


def wait_until_ready(process: subprocess.Popen[bytes], log: Path, seen: int) -> None:
    """Wait until the service has said once more that it waits for files."""
    deadline = time.monotonic() + PATIENCE
    while log.read_bytes().count(READY) <= seen:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text(encoding="utf-8")[-4000:])
        time.sleep(0.1)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, and all that it started, without a word."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the Python of the service; under spark-submit Java is around it."""
    root = psutil.Process(process.pid)
    family = (root, *root.children(recursive=True))
    next(each for each in family if each.name().startswith("python")).terminate()


@dataclass(frozen=True, slots=True)
class Moment:
    """When a service is killed: so many seconds after it is ready, or has begun to write."""

    writing: bool
    seconds: float

    def wait(self, process: subprocess.Popen[bytes], out: Path) -> None:
        """Wait for it, or for the end of the service."""
        deadline = time.monotonic() + WRITES_WITHIN
        while self.writing and not is_writing(out) and time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.02)
        time.sleep(self.seconds)


def moments(kills: int, seed: int) -> Iterator[Moment]:
    """Draw when to kill: one time in four at any time, else in the middle of the writes."""
    drawn = random.Random(seed)
    for number in range(kills):
        yield Moment(writing=number % 4 != 3, seconds=drawn.uniform(0.0, 8.0))


def is_writing(out: Path) -> bool:
    """Whether additions to the table are being made; a service clears what others left."""
    return any(out.glob(".ingest-*"))


def run(
    folder: Path,
    *,
    images: int,
    kills: int,
    seed: int,
    start: Start = start_local,
    disturb: Callable[[int, Outcome], None] = lambda _, __: None,
) -> Outcome:
    """Let images arrive, kill the service ``kills`` times, end it in peace, and check.

    Each service has its share of the images to take in.

    Parameters
    ----------
    disturb : what else is done to each service before its end, by its number from 0 on.
    """
    drop, out, log = folder / "drop", folder / "out", folder / "service.log"
    (drop / "images").mkdir(parents=True)
    log.touch()
    outcome, done = Outcome(), threading.Event()
    numbers = list(range(images))
    random.Random(seed).shuffle(numbers)
    reader = threading.Thread(target=watch, args=(out / "images", done, outcome))
    reader.start()
    try:
        for number, moment in enumerate(moments(kills, seed)):
            feeder = threading.Thread(target=arrive, args=(drop, numbers[number::kills], ARRIVE))
            feeder.start()
            process = start(drop, out, "--continuous", log)
            try:
                wait_until_ready(process, log, log.read_bytes().count(READY))
                disturb(number, outcome)
                moment.wait(process, out)
                outcome.ended_itself(number, process.poll())
            finally:
                kill(process)
            outcome.killed(moment.seconds, writing=is_writing(out))
            feeder.join()
        _end_in_peace(start, (drop, out), log, outcome)
    finally:
        done.set()
        reader.join()
    check(out, images, outcome)
    return outcome


def _end_in_peace(start: Start, paths: tuple[Path, Path], log: Path, outcome: Outcome) -> None:
    """Start once more, ask the service to end, and let a last run take in what is left."""
    process = start(*paths, "--continuous", log)
    try:
        wait_until_ready(process, log, log.read_bytes().count(READY))
        ask_to_end(process)
        code = process.wait(timeout=PATIENCE)
        if code != 0:
            outcome.faults.append(f"SIGTERM ended the service with {code}")
    finally:
        kill(process)
    process = start(*paths, "--once", log)
    try:
        code = process.wait(timeout=PATIENCE)
        if code != 0:
            outcome.faults.append(f"the last run ended with {code}: {log.read_text()[-3000:]}")
    finally:
        kill(process)


def tell(outcome: Outcome, files: int) -> int:
    """Say what came of it; the exit code."""
    sys.stdout.write(
        f"{outcome.kills} kills of the driver, {outcome.mid_write} in the middle of a write; "
        f"{len(outcome.lost_workers)} of a worker, after which {outcome.gave_up} drivers gave up\n"
        f"{outcome.images} images + {outcome.rejects} rejects of "
        f"{files} files, each once: {'no' if outcome.faults else 'yes'}\n"
        f"table read {outcome.reads} times meanwhile, {outcome.retries} partitions just replaced, "
        f"{len(outcome.faults)} faults\n"
    )
    for fault in outcome.faults[:20]:
        sys.stdout.write(f"  {fault}\n")
    return 1 if outcome.faults else 0


def parser(about: str, *, kills: int) -> argparse.ArgumentParser:
    """The options that every such run has."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--images", type=int, default=5000)
    made.add_argument("--kills", type=int, default=kills)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--folder", type=Path, help="an empty folder that stays, with its log")
    return made


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """The folder to work in, or one that goes afterwards."""
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def main() -> int:
    """Run it in a folder of its own and say what came of it."""
    options = parser(__doc__ or "", kills=20).parse_args()
    with place(options.folder) as folder:
        outcome = run(
            folder / "plant", images=options.images, kills=options.kills, seed=options.seed
        )
    return tell(outcome, options.images)


if __name__ == "__main__":
    raise SystemExit(main())
