"""Who holds a lease, and whether he is still alive: by his process, or by a file that he renews."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pcb_spark.lake.claims import Claim

#: How often a lease is renewed, and for how long somebody looks on before it counts as left behind:
#: longer than two renewals, for one may fail.
RENEW_SECONDS = 10.0
WATCH_SECONDS = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease: the job, what it claims, and the process that runs it.

    ``place`` is the machine, and the container in it; ``pid`` says something there only.
    ``paused`` : it makes way for now.
    """

    claim: Claim
    job: str
    run_id: str
    host: str
    place: str
    pid: int
    process_started: float
    started_at: str
    paused: bool = False

    def gone(self) -> bool | None:
        """Whether its process is there no more; None where it ran elsewhere."""
        if self.place != place():
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.process_started) < 1
            return not same or process.status() == psutil.STATUS_ZOMBIE
        return True

    def __str__(self) -> str:
        return f"{self.job} on {self.host}, process {self.pid}, since {self.started_at}"


def myself(claim: Claim, *, job: str, run_id: str) -> Holder:
    """The holder of a lease that is this process."""
    return Holder(
        claim=claim,
        job=job,
        run_id=run_id,
        host=socket.gethostname(),
        place=place(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def place() -> str:
    """Name the machine, and the container in it, which has process ids of its own."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace.readlink() if namespace.is_symlink() else ''}"


def to_bytes(holder: Holder) -> bytes:
    """The content of a lease."""
    return json.dumps(asdict(holder) | {"claim": holder.claim.to_json()}, indent=1).encode()


def from_bytes(content: bytes) -> Holder | None:
    """Read what ``to_bytes`` made; None where it is something else."""
    try:
        found = json.loads(content)
        return Holder(**(found | {"claim": Claim.from_json(found["claim"])}))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Watch:
    """Looks at signs of life again and again: who lives changes them, by nobody's clock but ours.

    A machine or container of the same name is no proof that the one before it is gone; that nobody
    renews its lease is.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float, bool]] = {}

    def alive(self, name: str, sign: object) -> bool | None:
        """Whether ``name`` lives: True once its sign has changed, False when it stays as it was.

        None for as long as nobody can know.
        """
        now = time.monotonic()
        last, since, changed = self._seen.setdefault(name, (sign, now, False))
        if sign != last:
            self._seen[name] = (sign, now, True)
            return True
        if now - since > WATCH_SECONDS:
            return False
        return True if changed else None
