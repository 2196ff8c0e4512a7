from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.serving import keys
from pcb_spark.serving.gate import RateLimit, Turnstile
from pcb_spark.serving.metrics import Metrics
from pcb_spark.serving.refusals import Refusal
from tests.serving import services

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PAIRS = services.pairs(2)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def tokens(key_file: Path) -> dict[str, str]:
    """One key of each scope, one of all, one of none."""
    found = {scope: services.token(key_file, scope) for scope in keys.SCOPES}
    return found | {"all": services.token(key_file, *keys.SCOPES), "none": services.token(key_file)}


@pytest.fixture(scope="module")
def locked(folder: Path, key_file: Path, tokens: dict[str, str]) -> Iterator[TestClient]:
    """A client of a service that wants keys."""
    assert tokens
    with services.client(folder, ring=keys.KeyRing(key_file)) as client:
        yield client


def refusals(client: TestClient, code: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    wanted = f'pcb_refused_total{{code="{code}"}} '
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "no_key"),
        ({"Authorization": "Basic cGNiOnBjYg=="}, "no_key"),
        ({"Authorization": "Bearer pcb_00000000_" + "A" * 43}, "wrong_key"),
        ({"Authorization": "Bearer x"}, "wrong_key"),
    ],
)
@pytest.mark.parametrize("call", ["GET /v1/model", "POST /v1/inspect", "POST /v1/model/reload"])
def test_without_a_valid_key_a_request_is_refused_and_counted(
    locked: TestClient, call: str, headers: dict[str, str], code: str
) -> None:
    before = refusals(locked, code)
    answer = locked.request(*call.split(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == code
    assert refusals(locked, code) == before + 1


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("GET /v1/model", {"score", "review", "admin", "all"}),
        ("POST /v1/inspect", {"score", "all"}),
        ("POST /v1/model/reload", {"admin", "all"}),
    ],
)
@pytest.mark.parametrize("name", [*keys.SCOPES, "all", "none"])
def test_key_of_another_scope_is_refused(
    locked: TestClient, tokens: dict[str, str], call: str, allowed: set[str], name: str
) -> None:
    answer = locked.request(*call.split(), headers=services.bearer(tokens[name]))
    assert (answer.status_code == 403) is (name not in allowed)
    if name not in allowed:
        assert answer.json()["error"]["code"] == "wrong_scope"


def test_why_an_operator_looks_is_told_to_the_scope_review_alone(
    locked: TestClient, tokens: dict[str, str]
) -> None:
    (blind, told) = (
        locked.post(
            "/v1/inspect", files=services.files(PAIRS), headers=services.bearer(tokens[name])
        ).json()["results"]
        for name in ("score", "all")
    )
    assert [each["review"] for each in blind] == [None, None]
    assert [each["review_probability"] for each in blind] == [None, None]
    assert all(each["review_probability"] for each in told)
    assert [each["to_operator"] for each in blind] == [each["to_operator"] for each in told]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_what_probes_and_people_look_at_needs_no_key(locked: TestClient, path: str) -> None:
    assert locked.get(path).status_code == 200


def test_rate_of_a_key_is_limited_and_says_when_to_come_back() -> None:
    now = [0.0]
    limit = RateLimit(0.5, clock=lambda: now[0])
    limit.take("a")
    with pytest.raises(Refusal) as caught:
        limit.take("a")
    limit.take("b")  # another key has a rate of its own
    assert (caught.value.status, caught.value.retry_after) == (429, 2)
    now[0] = 2.0
    limit.take("a")


def test_short_burst_of_twice_the_rate_is_borne() -> None:
    limit = RateLimit(3, clock=lambda: 0.0)
    for _ in range(6):
        limit.take("a")
    with pytest.raises(Refusal):
        limit.take("a")


def test_rate_is_answered_429(folder: Path) -> None:
    with services.client(folder, rate=0.01) as asking:
        first, second = (asking.post("/v1/inspect", files=services.files(PAIRS)) for _ in range(2))
    assert first.status_code == 200
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) > 90
    assert second.json()["error"]["code"] == "too_many_requests"


def test_turnstile_lets_so_many_in_and_then_the_next() -> None:
    gate = Turnstile(1, Metrics())
    with gate.passed():
        with pytest.raises(Refusal) as caught, gate.passed():
            pass
        assert (caught.value.status, caught.value.retry_after) == (503, 1)
    with gate.passed():
        pass
