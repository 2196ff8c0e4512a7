"""Kill nights with SIGKILL at random moments, do them over, and compare with undisturbed ones.

python -m faults.kill_nightly --images 1500 --kills 20 --seed 0

A rendered plant is trained and its model promoted. One copy of its tables has a night for each of
its last days in peace; in another copy nights are killed as a whole, Python, Java and its workers,
and done over. In the end both hold the same scores, reviews and decisions, but for run and time. A
thread reads ``scores`` all the while: it sees a day before its night or after it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pyarrow_hotfix  # noqa: F401  closes CVE-2023-47248 before pyarrow 13 reads

from faults.kill_ingest import parser, place
from pcb_spark.demo.camera_drop import render_drop

SETTINGS = (
    "seed=11", 'backbone.weights="untrained"', 'backbone.precision="int8"',
    "features.levels=['pixels','layer1']", "folds.n=3", "folds.first_fraction=0.4",
    "classifier.num_iterations=30", "classifier.min_data_in_leaf=5",
    "policy.bootstrap_resamples=0", "policy.max_slip_rate=0.2", "folds.learning_curve=1",
)  # fmt: skip
LOCAL = (
    "report.gallery=0", 'spark.master="local[2]"', 'spark.driver_memory="1g"',
    'spark.conf={"spark.sql.shuffle.partitions"="2", "spark.sql.adaptive.enabled"="false"}',
)  # fmt: skip
TABLES = ("scores", "reviews", "decisions")
#: What a night that was done over has other than an undisturbed one.
OF_THE_RUN = {"run_id", "scored_at", "published_at"}
#: Days of the rendered plant that have a night.
NIGHTS = 10
PATIENCE = 900.0


@dataclass
class Outcome:
    """What was seen: kills, how many of them in the middle of a write, reads, and faults."""

    kills: int = 0
    mid_write: int = 0
    reads: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A drop, its tables, and how its nights are configured."""

    drop: Path
    out: Path
    settings: Sequence[str]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        paths = (f"paths.drop='{self.drop}'", f"paths.out='{self.out}'")
        told = [w for each in (*paths, *self.settings, *LOCAL) for w in ("--set", each)]
        program = "import sys; from pcb_spark.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *words, *told]
        with self.log.open("ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def call(self, *words: str, allowed: Sequence[int] = (0,)) -> tuple[int, str]:
        """Run a command to its end: its exit code, and what it said."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        code = self.start(*words).wait(timeout=PATIENCE)
        said = self.log.read_bytes()[begin:].decode()
        if code not in allowed:
            raise RuntimeError(f"{' '.join(words)} ended with {code}: {said[-3000:]}")
        return code, said

    def night(self, first: str, day: str) -> list[str]:
        """The words of a night of ``day``, ``first`` being the first day that has one."""
        since = ["--set", f"scoring.since={first}", "--set", f"scoring.until={day}"]
        return ["nightly", *since]

    @property
    def log(self) -> Path:
        """What its commands said."""
        return self.out.with_name(f"{self.out.name}.log")

    def is_writing(self) -> bool:
        """Whether tables are being written or exchanged."""
        return any(self.out.glob(".staging-*")) or any(self.out.glob(".exchange-*"))


def disturb(plant: Plant, days: Sequence[str], *, kills: int, seed: int) -> Outcome:
    """Kill nights of ``days`` so many times in all, and do each over until it ends."""
    outcome, drawn = Outcome(), random.Random(seed)
    with _watched(plant, outcome):
        for number, day in enumerate(days):
            words = plant.night(days[0], day)
            for kill in range(number, kills, len(days)):
                _kill(plant, words, drawn, outcome, anytime=kill % 4 == 3)
            plant.call(*words)
    return outcome


def compare(disturbed: Path, calm: Path, outcome: Outcome) -> None:
    """Note where the tables of two plants differ."""
    for table in TABLES:
        found, expected = (rows(out / table) for out in (disturbed, calm))
        if found != expected:
            outcome.faults.append(
                f"{table}: {(expected - found).total()} rows missing, "
                f"{(found - expected).total()} too many"
            )


def rows(table: Path) -> Counter[tuple[tuple[str, str], ...]]:
    """The rows of a table without what belongs to a run; none where there is no table."""
    found = pq.read_table(table).to_pylist() if table.exists() else []
    return Counter(
        tuple((name, repr(value)) for name, value in row.items() if name not in OF_THE_RUN)
        for row in found
    )


def _kill(
    plant: Plant, words: Sequence[str], drawn: random.Random, outcome: Outcome, *, anytime: bool
) -> None:
    """Start a night and kill it: at any time, or from the first write on."""
    process = plant.start(*words)
    deadline = time.monotonic() + PATIENCE
    while not (anytime or plant.is_writing()) and process.poll() is None:
        if time.monotonic() > deadline:
            outcome.faults.append("a night hangs")
            break
        time.sleep(0.01)
    seconds = drawn.uniform(0.0, 20.0 if anytime else 3.0)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    writing = plant.is_writing()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    outcome.kills += 1
    outcome.mid_write += writing
    how = "in the middle of a write" if writing else "between its writes"
    sys.stdout.write(f"kill {outcome.kills} {how}, {seconds:.1f} s on\n")
    sys.stdout.flush()


@contextmanager
def _watched(plant: Plant, outcome: Outcome) -> Iterator[None]:
    """Read ``scores`` over and over: a day is there whole, or not yet."""
    whole, done = _images(plant.out), threading.Event()
    reader = threading.Thread(target=_watch, args=(plant.out / "scores", whole, done, outcome))
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()


def _watch(scores: Path, whole: Mapping[str, int], done: threading.Event, outcome: Outcome) -> None:
    while not done.wait(0.05):
        for folder in scores.glob("capture_date=*"):
            with suppress(FileNotFoundError):  # its successor is just taking its place
                found = sum(pq.read_metadata(each).num_rows for each in folder.glob("*.parquet"))
                if found not in (0, whole[folder.name]):
                    outcome.faults.append(f"{folder.name} with {found} images was seen")
        outcome.reads += 1


def _images(out: Path) -> dict[str, int]:
    """How many images each day has, by its folder."""
    return {
        folder.name: sum(pq.read_metadata(each).num_rows for each in folder.glob("*.parquet"))
        for folder in sorted((out / "images").glob("capture_date=*"))
    }


def run(folder: Path, *, images: int, kills: int, seed: int) -> Outcome:
    """Train a plant, give one copy its nights in peace, disturb those of the other, compare."""
    calm = Plant(drop=folder / "drop", out=folder / "calm", settings=SETTINGS)
    render_drop(calm.drop, images=images, weeks=4, seed=seed)
    for job in ("ingest", "featurize", "train"):
        calm.call(job)
    calm.call("model", "promote", "--force", "--who", "faults", "--why", "to have a champion")
    disturbed = Plant(drop=calm.drop, out=folder / "disturbed", settings=SETTINGS)
    shutil.copytree(calm.out, disturbed.out)
    days = [name.partition("=")[2] for name in _images(calm.out)][-NIGHTS:]
    for day in days:
        calm.call(*calm.night(days[0], day))
    outcome = disturb(disturbed, days, kills=kills, seed=seed)
    compare(disturbed.out, calm.out, outcome)
    return outcome


def main() -> int:
    """Run it in a folder of its own and say what came of it."""
    options = parser(__doc__ or "", kills=20).parse_args()
    with place(options.folder) as folder:
        outcome = run(
            folder / "plant", images=options.images, kills=options.kills, seed=options.seed
        )
    sys.stdout.write(
        f"{outcome.kills} kills, {outcome.mid_write} in the middle of a write; scores read "
        f"{outcome.reads} times meanwhile; same tables as undisturbed: "
        f"{'no' if outcome.faults else 'yes'}\n"
    )
    for fault in outcome.faults[:20]:
        sys.stdout.write(f"  {fault}\n")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
