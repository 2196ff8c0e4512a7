"""What a reader sees of a table while ingest is killed, and what has to be there in the end."""

from __future__ import annotations

import sys
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from faults.arrivals import is_picture, name, picture


@dataclass
class Outcome:
    """What was seen: kills, reads, and what is wrong, if anything.

    ``gave_up`` counts how often the service ended with an error of its own after a worker was lost;
    ``retries`` how often a reader met a partition while its successor took its place.
    """

    kills: int = 0
    mid_write: int = 0
    lost_workers: set[int] = field(default_factory=set)
    gave_up: int = 0
    reads: int = 0
    retries: int = 0
    faults: list[str] = field(default_factory=list)
    in_table: int = 0
    images: int = 0
    rejects: int = 0

    def ended_itself(self, number: int, code: int | None) -> None:
        """Note that service ``number`` ended before its kill: it may where it lost a worker."""
        if code is None:
            return
        self.gave_up += 1
        if number not in self.lost_workers:
            self.faults.append(f"service {number} ended with {code}")

    def killed(self, seconds: float, *, writing: bool) -> None:
        """Note a kill, and say how it met the service."""
        self.kills += 1
        self.mid_write += writing
        how = "in the middle of a write" if writing else "between its writes"
        sys.stdout.write(
            f"kill {self.kills} {how}, {seconds:.1f} s on, {self.in_table} images in the table\n"
        )
        sys.stdout.flush()


def watch(table: Path, done: threading.Event, outcome: Outcome) -> None:
    """Read the table over and over: no file may change, no image vanish or stand there twice."""
    contents: dict[str, tuple[str, ...]] = {}
    seen: dict[str, set[str]] = defaultdict(set)
    while not done.is_set():
        for folder in sorted(table.glob("capture_date=*")):
            ids = _ids(folder, contents, outcome)
            if not ids:
                outcome.retries += 1  # its successor was just taking its place
                continue
            doubled = [image for image, count in ids.items() if count > 1]
            outcome.faults += [f"{folder.name} has {image} twice" for image in doubled]
            if lost := seen[folder.name] - ids.keys():
                outcome.faults.append(f"{folder.name} was without {len(lost)} images it had")
            seen[folder.name] |= ids.keys()
        outcome.in_table = sum(len(ids) for ids in seen.values())
        outcome.reads += 1
        done.wait(0.05)


def _ids(folder: Path, contents: dict[str, tuple[str, ...]], outcome: Outcome) -> Counter[str]:
    """How often each image stands in a partition; nothing where that went away meanwhile."""
    ids: Counter[str] = Counter()
    for path in sorted(folder.glob("[!._]*")):
        try:
            found = tuple(pq.read_table(path, columns=["image_id"]).column(0).to_pylist())
        except FileNotFoundError:
            return Counter()
        except OSError as error:
            outcome.faults.append(f"{path.name} can't be read: {error}")
            continue
        if contents.setdefault(str(path), found) != found:
            outcome.faults.append(f"{path.name} changed")
        ids.update(found)
    return ids


def check(out: Path, count: int, outcome: Outcome) -> None:
    """Compare the tables with what arrived."""
    images = Counter(
        zip(_column(out / "images", "source_uri"), _column(out / "images", "image"), strict=True)
    )
    table = pq.read_table(out / "rejects", columns=["source_uri", "kind", "reason"]).to_pylist()
    rejects = Counter((row["source_uri"], b"") for row in table if row["kind"] == "image")
    outcome.images, outcome.rejects = images.total(), rejects.total()
    expected = {
        "images": Counter((name(n), picture(n)) for n in range(count) if is_picture(n)),
        "rejects": Counter((name(n), b"") for n in range(count) if not is_picture(n)),
    }
    for kind, found in (("images", images), ("rejects", rejects)):
        have = Counter({(uri[uri.index("images/") :], file): n for (uri, file), n in found.items()})
        missing, surplus = expected[kind] - have, have - expected[kind]
        if missing or surplus:
            outcome.faults.append(
                f"{kind}: {len(missing)} missing, {len(surplus)} too many, "
                f"e.g. {[uri for uri, _ in (*missing, *surplus)][:3]}"
            )
    if (read := read_by_petastorm(out / "images")) != images.total():
        outcome.faults.append(f"petastorm reads {read} of {images.total()} images")


def read_by_petastorm(table: Path) -> int:
    """How many different images ``make_reader`` finds in the table."""
    from petastorm import make_reader

    with make_reader(
        table.as_uri(), reader_pool_type="dummy", num_epochs=1, schema_fields=["image_id"]
    ) as reader:
        return len({row.image_id for row in reader})


def _column(table: Path, column: str) -> list[Any]:
    return [
        value
        for path in sorted(table.rglob("*.parquet"))
        for value in pq.read_table(path, columns=[column]).column(0).to_pylist()
    ]
