"""The description of the API: true of every answer, and a page that needs no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.serving import services

#: `make fuzz-service` asks for all that schemathesis has.
PHASES = os.environ.get("API_PHASES", "fuzzing")
EXAMPLES = os.environ.get("API_EXAMPLES", "10")

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def test_page_names_nothing_but_this_service(asking: TestClient) -> None:
    page = asking.get("/docs").text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 3
    assert all(each.startswith("/docs/assets/") for each in named)
    assert [asking.get(each).status_code for each in named] == [200, 200, 200]
    assert "//" not in re.sub(r"// .*|<!--.*-->", "", page)


def test_every_schema_that_is_referred_to_is_there(asking: TestClient) -> None:
    description = asking.get("/openapi.json")
    referred = set(re.findall(r"#/components/schemas/(\w+)", description.text))
    assert referred == set(description.json()["components"]["schemas"])


def test_every_answer_is_as_it_is_described(folder: Path, tmp_path: Path) -> None:
    """What schemathesis makes up out of the description, with and without a key."""
    key_file = tmp_path / "keys.json"
    token = services.token(key_file, "score", "review", "admin")
    own = Path(__file__).with_name("schemathesis.toml")
    with services.running(folder, tmp_path / "log", "--keys", str(key_file)) as service:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "--config-file", str(own),
                "run", f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {token}",
                "--phases", PHASES, "--max-examples", EXAMPLES, "--seed", "20", "--no-color",
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 selected / 6 total" in done.stdout
    print(done.stdout[-400:])  # noqa: T201  what `make fuzz-service` shows
