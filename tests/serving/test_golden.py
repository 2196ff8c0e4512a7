"""References by part number and position, out of a folder of the service's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.serving import service
from tests import edge
from tests.rows import NO_IMAGE, noise
from tests.serving import services

if TYPE_CHECKING:
    from starlette.testclient import TestClient

(IMAGE, GOLDEN), (_, OTHER) = services.pairs(2)
ROWS = (
    "references/old.png,R-0603,,,,2026-03-01",
    "references/new.png,R-0603,,,2026-03-01,",
    "references/u7.png,,U7,L2,,",
    "references/small.png,,U8,,,",
    "references/broken.png,,U9,,,",
)


def write(root: Path, *rows: str) -> Path:
    (root / "references").mkdir(parents=True, exist_ok=True)
    files = {"old": OTHER, "new": GOLDEN, "u7": OTHER, "small": noise(1)}
    for name, content in (files | {"broken": NO_IMAGE}).items():
        (root / "references" / f"{name}.png").write_bytes(content)
    head = "reference,part_number,position,line,valid_from,valid_until"
    (root / "references.csv").write_text("\n".join((head, *rows)) + "\n")
    return root


@pytest.fixture(scope="module")
def asking(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = write(tmp_path_factory.mktemp("golden"), *ROWS)
    with services.client(folder, golden=root) as client:
        yield client


def result(client: TestClient, reference: bytes | None = None, **trace: str) -> dict[str, Any]:
    answer = client.post("/v1/inspect", json=services.encoded([(IMAGE, reference)], **trace))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["results"]
    return dict(found)


def compared_with(found: dict[str, Any]) -> bytes | None:
    """Which golden image an answer names."""
    sha256 = found["reference_sha256"]
    known = {hashlib.sha256(each).hexdigest(): each for each in (GOLDEN, OTHER, NO_IMAGE)}
    return known[sha256] if sha256 else None


def test_an_image_is_held_against_the_one_of_its_part_number(asking: TestClient) -> None:
    by_part = result(asking, part_number="R-0603")
    assert compared_with(by_part) == GOLDEN
    assert by_part == result(asking, GOLDEN, part_number="R-0603")
    (told,) = services.told_by_core(services.deciding(), [(IMAGE, GOLDEN)])
    assert (by_part["probability"], by_part["decision"]) == told


@pytest.mark.parametrize(
    ("moment", "golden"),
    [("2026-02-28T23:59:59Z", OTHER), ("2026-03-01T00:59:59+01:00", OTHER),
     ("2026-03-01T00:00:00Z", GOLDEN)],
)  # fmt: skip
def test_an_image_of_another_day_has_that_days(
    asking: TestClient, moment: str, golden: bytes
) -> None:
    found = result(asking, part_number="R-0603", captured_at=moment)
    assert compared_with(found) == golden


def test_the_window_that_asks_for_most_counts(asking: TestClient) -> None:
    found = result(asking, part_number="R-0603", position="U7", line="L2")
    assert compared_with(found) == OTHER


def test_what_the_client_sends_counts_more(asking: TestClient) -> None:
    assert compared_with(result(asking, OTHER, part_number="R-0603")) == OTHER


@pytest.mark.parametrize("trace", [{}, {"position": "U7"}, {"position": "U8"}])
def test_where_ingest_would_attach_none_an_operator_looks(
    asking: TestClient, trace: dict[str, str]
) -> None:
    found = result(asking, None, **trace)
    assert (found["decision"], found["reason"]) == ("unscorable", "reference_missing")
    assert found["to_operator"]


def test_a_broken_golden_image_is_no_fault_of_the_client(asking: TestClient) -> None:
    found = result(asking, position="U9")
    assert (found["decision"], found["reason"]) == ("unscorable", "reference_unusable")


def test_a_moment_without_a_time_zone_is_refused(asking: TestClient) -> None:
    body = services.encoded([(IMAGE, None)], captured_at="2026-03-01T00:00:00")
    answer = asking.post("/v1/inspect", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_json")


def test_a_changed_table_counts_at_once(folder: Path, tmp_path: Path) -> None:
    root = write(tmp_path / "golden", "references/old.png,R-0603,,,,")
    with services.client(folder, golden=root) as asking:
        before = result(asking, part_number="R-0603")
        write(root, "references/new.png,R-0603,,,,")
        after = result(asking, part_number="R-0603")
    assert [compared_with(each) for each in (before, after)] == [OTHER, GOLDEN]


@pytest.mark.parametrize("content", [None, "a table of another kind\n"])
def test_a_service_does_not_start_without_its_table(
    folder: Path, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "references.csv").write_text(content)
    key = tmp_path / "plant.pub"
    key.write_text(edge.PLANT.public.text())
    words = ("start", "--bundle", str(folder), "--trust", str(key), "--without-keys")
    assert service.main([*words, "--port", "0", "--golden", str(tmp_path)]) == 4
