"""The description of the API: true of every answer, and a page that needs no network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
