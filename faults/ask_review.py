"""Be an operator of a review page on loopback, with Python's own library: it runs inside the image.

``python ask_review.py KEY``: looks at the pictures of what waits, and calls the first a defect.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any

_PAGE = "try-images"


class Operator:
    """Asks with one key, on one connection."""

    def __init__(self, key: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)

    def ask(self, method: str, path: str, told: dict[str, object] | None = None) -> bytes:
        """Return what a request is answered."""
        body = None if told is None else json.dumps({"page": _PAGE, **told})
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != http.HTTPStatus.OK:
            message = f"{method} {path} answered {answer.status}: {said[:300]!r}"
            raise RuntimeError(message)
        return said


def review(key: str) -> dict[str, Any]:
    """How many items wait, how many pictures a page got, and whether a verdict was stored."""
    operator = Operator(key)
    given = json.loads(operator.ask("POST", "/v1/review/items", {"want": 5}))
    pictures = [
        operator.ask("GET", f"/v1/review/items/{item['item_id']}/{which}")
        for item in given["items"]
        for which in ("image", "reference", "heat")
        if item["pictures"][which]
    ]
    said = {
        "entry": "try-images-entry", "item": given["items"][0]["item_id"],
        "state": "DefectConfirmed",
    }  # fmt: skip
    stored = json.loads(operator.ask("POST", "/v1/review/entries", said))
    page = operator.ask("GET", "/review/")
    return {"waiting": given["waiting"], "pictures": len(pictures), "page": len(page), **stored}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(review(sys.argv[1])))
