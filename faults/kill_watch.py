"""SIGKILL ``pcb-edge watch`` at random moments while images arrive, and count what came of it.

``python -m faults.kill_watch --home DIR --data DROP [--images 60] [--kills 20]``

Images of a drop are copied one after the other to where the watch looks; it is killed and started
again, at last left alone, and then every image has to have one decision, and the spool of the other
side every picture, golden image and decision, each as it was.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pcb_spark.core import drops
from pcb_spark.serving.edge_home import Home

_LONGEST = 2.5  # seconds between two kills
_SLOWEST = 180.0  # seconds that the last start may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of it: kills, images, and what is missing or there twice, by its name."""

    kills: int
    images: int
    wrong: tuple[str, ...]


def kill_watch(home: Path, data: Path, work: Path, *, images: int, kills: int, seed: int) -> Found:
    """Kill a watch ``kills`` times; ``work`` is an empty folder.

    Raises
    ------
    TimeoutError : the last start doesn't come to an end.
    """
    rng = random.Random(seed)
    drop = drops.Drop(data, Home(home).open().manifest.habits)
    paths = list(drop.paths())[:images]
    seen, share = work / "drop", work / "share"
    share.mkdir(parents=True)
    _bring(data, seen, paths, [name for name in drops.TABLES if (data / name).exists()])
    waiting = list(paths)
    for _ in range(kills):
        watch = _start(home, seen, work / "out", share)
        until = time.monotonic() + rng.uniform(0.2, _LONGEST)
        while time.monotonic() < until:
            if waiting:
                _copy(data, seen, waiting.pop(0))
            time.sleep(rng.uniform(0.0, _LONGEST / max(1, images // kills)))
        watch.kill()
        watch.wait()
    for path in waiting:
        _copy(data, seen, path)
    last = _start(home, seen, work / "out", share, "--once")
    last.wait(timeout=_SLOWEST)
    return Found(kills=kills, images=len(paths), wrong=tuple(_wrong(seen, work, paths)))


def _bring(data: Path, seen: Path, paths: list[str], tables: list[str]) -> None:
    (seen / Path(paths[0]).parent).mkdir(parents=True)
    for name in tables:
        shutil.copy(data / name, seen / name)
    shutil.copytree(data / "references", seen / "references")


def _copy(data: Path, seen: Path, path: str) -> None:
    (seen / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(data / path, seen / path)


def _start(home: Path, seen: Path, out: Path, share: Path, *flags: str) -> subprocess.Popen[bytes]:
    program = "import sys; from pcb_spark.serving.edge import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["--home", str(home), "watch", str(seen), "--out", str(out), "--to", str(share)]
    pace = ["--settle", "0", "--every", "0.05", *flags]
    command = [sys.executable, "-c", program, *arguments, *pace]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wrong(seen: Path, work: Path, paths: list[str]) -> list[str]:
    """What isn't as it has to be, a line each."""
    here, there = work / "out" / "decisions", work / "share" / "decisions"
    decided = Counter(json.loads(file.read_bytes())["path"] for file in here.rglob("*.json"))
    wrong = [f"{path}: {decided[path]} decisions" for path in paths if decided[path] != 1]
    for file in here.rglob("*.json"):
        other = there / file.relative_to(here)
        if not other.exists() or other.read_bytes() != file.read_bytes():
            wrong.append(f"{file.name}: another decision came through")
    golden = {json.loads(file.read_bytes())["reference"] for file in here.rglob("*.json")}
    for path in [*paths, *(each for each in golden if each)]:
        other = work / "share" / path
        if not other.exists() or other.read_bytes() != (seen / path).read_bytes():
            wrong.append(f"{path}: it didn't come through")
    left = [file for file in work.rglob("*.part") if file.is_file()]
    return wrong + [f"{file}: half a file" for file in left]


def main() -> None:
    """Print what came of it; end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="of a machine with a bundle")
    parser.add_argument("--data", type=Path, required=True, help="a camera drop")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = kill_watch(
            options.home, options.data, Path(work),
            images=options.images, kills=options.kills, seed=options.seed,
        )  # fmt: skip
    said = "\n".join(found.wrong) or "each decided once; spool and decisions agree"
    sys.stdout.write(f"{found.kills} kills, {found.images} images: {said}\n")
    raise SystemExit(1 if found.wrong else 0)


if __name__ == "__main__":
    main()
