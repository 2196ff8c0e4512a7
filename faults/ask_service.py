"""Ask a service on loopback about images, with Python's own library: it runs inside the image.

``python ask_service.py FOLDER``: FOLDER/asked.json lists what an edge machine decided.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
from pathlib import Path

_TRACE = ("image_id", "line", "lot", "board_id", "position", "part_number")


def ask(folder: Path) -> list[tuple[str, str, str]]:
    """Return path, probability to the last bit, and decision of each image."""
    key, drop = Path("/etc/pcb/key").read_text(encoding="utf-8"), folder / "demo" / "drop"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
    found = []
    for asked in json.loads((folder / "asked.json").read_text(encoding="utf-8")):
        image = {name: asked[name] for name in _TRACE if asked[name] is not None}
        for name, path in (("image", asked["path"]), ("reference", asked["reference"])):
            if path:
                image[name] = base64.b64encode((drop / path).read_bytes()).decode()
        connection.request("POST", "/v1/inspect", json.dumps({"images": [image]}), headers)
        answer = json.loads(connection.getresponse().read())
        (result,) = answer["results"]
        found.append((asked["path"], float(result["probability"]).hex(), result["decision"]))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(Path(sys.argv[1]))))
