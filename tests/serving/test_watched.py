from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcb_spark.serving import keys
from pcb_spark.serving.inspection import Inspector
from tests.serving import services

if TYPE_CHECKING:
    import pytest

PAIRS = services.pairs(1)


def test_fault_of_our_own_is_apologised_for_and_the_service_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with services.client(folder) as asking:
        with monkeypatch.context() as broken:
            broken.setattr(Inspector, "inspect", fail)
            answer = asking.post("/v1/inspect", files=services.files(PAIRS))
        after = asking.post("/v1/inspect", files=services.files(PAIRS))
        metrics = asking.get("/metrics").text

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert "RuntimeError" not in answer.text
    assert "a fault of pcb_spark itself" in caplog.text
    assert after.status_code == 200
    assert "pcb_requests_in_progress 0.0" in metrics
    assert 'pcb_requests_total{route="/v1/inspect",status="500"} 1.0' in metrics


def test_line_of_a_request_says_which_key_and_model_and_no_id_of_an_image(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    headers = services.bearer(services.token(path, "score"))
    (key,) = keys.read(path)
    body = services.encoded(PAIRS, board_id="board-4711", image_id="image-4711")
    with (
        services.client(folder, ring=keys.KeyRing(path)) as asking,
        caplog.at_level(logging.DEBUG),
    ):
        asking.post("/v1/inspect?token=4711", json=body, headers=headers)

    lines = [each.getMessage() for each in caplog.records if "/v1/inspect" in each.getMessage()]
    (own,) = [line for line in lines if line.startswith("/v1/inspect 200")]
    assert f"key={key.id} images=1 model=2026-02-27-0123456789ab" in own
    assert "4711" not in own
