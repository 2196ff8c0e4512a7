"""Kill the ingest service with SIGKILL at random moments while images arrive, and count.

python -m benchmarks.kill_ingest --images 5000 --kills 20 --seed 0

A thread lets the files arrive: most at once, some in two halves, some empty at first, some no
pictures at all. Another one reads the table all the time. The service runs in a process group of
its own, which gets SIGKILL as a whole: Python, Java and its workers. In the end every file has to
be in ``images`` or in ``rejects``, once.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

SETTINGS = (
    'spark.master="local[2]"', 'spark.driver_memory="1g"', "ingest.trigger_seconds=1",
    "ingest.files_per_batch=200", "ingest.look_seconds=8",
    'spark.conf={"spark.sql.shuffle.partitions"="2", "spark.sql.adaptive.enabled"="false"}',
)  # fmt: skip
DAYS = 3
TICKS = 50


@dataclass
class Outcome:
    """What was seen: kills, how they met the service, reads, and what is wrong, if anything."""

    kills: int = 0
    reads: int = 0
    retries: int = 0
    faults: list[str] = field(default_factory=list)
    images: int = 0
    rejects: int = 0


def picture(number: int) -> bytes:
    """A small JPEG that no other number has."""
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (number % 256, number // 256 % 256, 77)).save(file, "JPEG")
    return file.getvalue()


def name(number: int) -> str:
    """Where image ``number`` goes below the drop."""
    return f"images/line=L1/date=2026-01-0{5 + number % DAYS}/b{number:06d}_P1.jpg"


def is_picture(number: int) -> bool:
    """Every 50th file is text."""
    return number % 50 != 49


def arrive(drop: Path, numbers: Sequence[int], seconds: float) -> None:
    """Write files over ``seconds``; those that come in halves are completed a moment later."""
    waiting: list[tuple[Path, bytes]] = []
    size = -(-len(numbers) // TICKS)
    for first in range(0, len(numbers), size):
        for path, content in waiting:
            path.write_bytes(content)
        waiting.clear()
        for number in numbers[first : first + size]:
            path = drop / name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = picture(number) if is_picture(number) else b"no picture %d" % number
            part = {0: 0, 1: len(content) // 2}.get(number % 20, len(content))
            path.write_bytes(content[:part])
            if part < len(content):
                waiting.append((path, content))
        time.sleep(seconds / TICKS)
    for path, content in waiting:
        path.write_bytes(content)


def watch(table: Path, done: threading.Event, outcome: Outcome) -> None:
    """Read the table over and over: no file may be incomplete or change, no image stand twice."""
    contents: dict[str, tuple[str, ...]] = {}
    while not done.is_set():
        for folder in sorted(table.glob("capture_date=*")):
            ids: Counter[str] = Counter()
            for path in sorted(folder.glob("[!._]*")):
                try:
                    found = tuple(pq.read_table(path, columns=["image_id"]).column(0).to_pylist())
                except FileNotFoundError:
                    outcome.retries += 1  # its partition was just replaced by its successor
                    ids.clear()
                    break
                except OSError as error:
                    outcome.faults.append(f"{path.name} can't be read: {error}")
                    continue
                if contents.setdefault(str(path), found) != found:
                    outcome.faults.append(f"{path.name} changed")
                ids.update(found)
            doubled = [image for image, count in ids.items() if count > 1]
            outcome.faults += [f"{folder.name} has {image} twice" for image in doubled]
        outcome.reads += 1
        done.wait(0.05)


def start(drop: Path, out: Path, mode: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the service in a process group of its own."""
    paths = (f"paths.drop='{drop}'", f"paths.out='{out}'")
    words = [word for setting in (*paths, *SETTINGS) for word in ("--set", setting)]
    program = "import sys; from pcb_spark.cli import main; sys.exit(main(sys.argv[1:]))"
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", program, "ingest", mode, *words],
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def wait_until_ready(process: subprocess.Popen[bytes], log: Path, seen: int) -> None:
    """Wait until the service has said once more that it waits for files."""
    deadline = time.monotonic() + 600
    while log.read_bytes().count(b"waiting for files") <= seen:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text(encoding="utf-8")[-4000:])
        time.sleep(0.1)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, and all that it started, without a word."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def moments(kills: int, seed: int) -> Iterator[float]:
    """Seconds from the service's readiness to each kill."""
    drawn = random.Random(seed)
    for _ in range(kills):
        yield drawn.uniform(0.0, 6.0)


def check(out: Path, count: int, outcome: Outcome) -> None:
    """Compare the tables with what arrived."""
    images = Counter(_column(out / "images", "source_uri"))
    table = pq.read_table(out / "rejects", columns=["source_uri", "kind", "reason"]).to_pylist()
    rejects = Counter(row["source_uri"] for row in table if row["kind"] == "image")
    outcome.images, outcome.rejects = images.total(), rejects.total()
    by_name = {
        kind: Counter({uri[uri.index("images/") :]: n for uri, n in found.items()})
        for kind, found in (("images", images), ("rejects", rejects))
    }
    expected = {
        "images": Counter(name(n) for n in range(count) if is_picture(n)),
        "rejects": Counter(name(n) for n in range(count) if not is_picture(n)),
    }
    for kind, want in expected.items():
        missing, surplus = want - by_name[kind], by_name[kind] - want
        if missing or surplus:
            outcome.faults.append(
                f"{kind}: {len(missing)} missing, {len(surplus)} too many, "
                f"e.g. {[*missing, *surplus][:3]}"
            )


def _column(table: Path, column: str) -> list[str]:
    return [
        value
        for path in table.rglob("*.parquet")
        for value in pq.read_table(path, columns=[column]).column(0).to_pylist()
    ]


def run(folder: Path, *, images: int, kills: int, seed: int) -> Outcome:
    """Let images arrive, kill the service ``kills`` times, end it in peace, and check."""
    drop, out, log = folder / "drop", folder / "out", folder / "service.log"
    drop.mkdir(parents=True)
    log.touch()
    outcome, done = Outcome(), threading.Event()
    numbers = list(range(images))
    random.Random(seed).shuffle(numbers)
    feeder = threading.Thread(target=arrive, args=(drop, numbers, 12.0 * max(1, kills)))
    reader = threading.Thread(target=watch, args=(out / "images", done, outcome))
    (drop / "images").mkdir()
    feeder.start()
    reader.start()
    try:
        for delay in moments(kills, seed):
            process = start(drop, out, "--continuous", log)
            wait_until_ready(process, log, log.read_bytes().count(b"waiting for files"))
            time.sleep(delay)
            kill(process)
            outcome.kills += 1
            sys.stdout.write(f"kill {outcome.kills} after {delay:.1f} s of service\n")
            sys.stdout.flush()
        feeder.join()
        _end_in_peace(drop, out, log, outcome)
    finally:
        done.set()
        reader.join()
    check(out, images, outcome)
    return outcome


def _end_in_peace(drop: Path, out: Path, log: Path, outcome: Outcome) -> None:
    """Start once more, ask the service to end, and let a last run take in what is left."""
    process = start(drop, out, "--continuous", log)
    try:
        wait_until_ready(process, log, log.read_bytes().count(b"waiting for files"))
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=600)
        if code != 0:
            outcome.faults.append(f"SIGTERM ended the service with {code}")
    finally:
        kill(process)
    code = start(drop, out, "--once", log).wait(timeout=600)
    if code != 0:
        outcome.faults.append(f"the last run ended with {code}: {log.read_text()[-3000:]}")


def main() -> int:
    """Run it in a folder of its own and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), images=options.images, kills=options.kills, seed=options.seed)
    sys.stdout.write(
        f"{outcome.kills} kills, {outcome.images} images + {outcome.rejects} rejects of "
        f"{options.images} files, each once: {'no' if outcome.faults else 'yes'}\n"
        f"table read {outcome.reads} times meanwhile, {outcome.retries} partitions just replaced, "
        f"{len(outcome.faults)} faults\n"
    )
    for fault in outcome.faults[:20]:
        sys.stdout.write(f"  {fault}\n")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
