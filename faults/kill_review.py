"""SIGKILL the review page's service and PostgreSQL while verdicts are entered, and count.

    python -m faults.kill_review [--items 500] [--kills 8]

Clients send verdicts as the page does, each again until it is acknowledged, and know which were.
Once with SQLite, where the service is killed, and once with PostgreSQL, where service and server
are killed in turn. In the end every verdict that was acknowledged has to be stored, each once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import secrets
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Final

from faults import postgres_server
from faults.postgres_server import Postgres
from faults.review_desk import Service, make_items
from pcb_spark.core import verifications
from pcb_spark.review import database, exports
from pcb_spark.serving import keys

_BETWEEN: Final = (0.3, 1.5)  # seconds
_DEADLINE: Final = 60.0


class Client(threading.Thread):
    """Enters verdicts one after the other, each until it is acknowledged."""

    def __init__(self, service: Service, name: str) -> None:
        super().__init__(daemon=True)
        self._url, self._page = service.url, f"page-of-{name}"
        self._token = service.token(name, keys.OPERATOR)
        self.acknowledged: list[str] = []
        self.repeated = 0

    def run(self) -> None:
        """Work until nothing is left."""
        while given := self._ask("/v1/review/items", {"page": self._page, "want": 3})["items"]:
            for item in given:
                told = {
                    "page": self._page, "entry": secrets.token_hex(16), "item": item["item_id"],
                    "state": verifications.REJECTED,
                }  # fmt: skip
                self._ask("/v1/review/entries", told)
                self.acknowledged.append(item["item_id"])

    def _ask(self, path: str, told: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        asking = urllib.request.Request(self._url + path, json.dumps(told).encode(), headers)
        while True:
            try:
                with urllib.request.urlopen(asking, timeout=30) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise
            except (OSError, http.client.HTTPException):
                pass
            self.repeated += 1
            time.sleep(0.05)


def kill_review(folder: Path, *, items: int, kills: int, postgres: Postgres | None) -> list[str]:
    """Kill the service, and every other time the server, and say what is wrong in the end."""
    make_items(folder / "items", items)
    service = Service(folder, store=postgres.url if postgres else "")
    service.start()
    clients = [Client(service, name) for name in ("anna", "ben", "carl", "dora")]
    for client in clients:
        client.start()
    done = 0
    for number in range(kills):
        time.sleep(random.uniform(*_BETWEEN))
        if not any(client.is_alive() for client in clients):
            break
        victim = postgres if postgres and number % 2 else service
        victim.kill()
        victim.start()
        done += 1
    for client in clients:
        client.join(_DEADLINE * 5)
    service.kill()
    said = [each for client in clients for each in client.acknowledged]
    sys.stdout.write(json.dumps({
        "store": "PostgreSQL" if postgres else "SQLite", "kills": done, "items": items,
        "acknowledged": len(said), "sent again": sum(client.repeated for client in clients),
    }) + "\n")  # fmt: skip
    return differences(said, service.store, items)


def differences(acknowledged: list[str], store: str, items: int) -> list[str]:
    """What is missing, or there twice."""
    engine = database.connect(store)
    stored = Counter(entry["item_id"] for entry in exports.said(engine))
    engine.dispose()
    found = [f"{item} is lost" for item in set(acknowledged) - set(stored)]
    found += [f"{item} is there {n} times" for item, n in stored.items() if n > 1]
    return [*found, *([] if len(stored) == items else [f"{len(stored)} of {items} are stored"])]


def main() -> int:
    """Do it with both kinds of store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--kills", type=int, default=8)
    options = parser.parse_args()
    if postgres_server.programs() is None:
        sys.exit("no PostgreSQL found: apt-get install postgresql")
    wrong = []
    for kind in (False, True):
        with tempfile.TemporaryDirectory() as scratch:
            postgres = Postgres(Path(scratch)) if kind else None
            try:
                if postgres:
                    postgres.start()
                wrong += kill_review(
                    Path(scratch), items=options.items, kills=options.kills, postgres=postgres
                )
            finally:
                if postgres:
                    postgres.kill()
    sys.stdout.write("".join(f"{fault}\n" for fault in wrong) or "nothing lost, nothing twice\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
