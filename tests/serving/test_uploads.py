from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from pcb_spark.serving import uploads
from pcb_spark.serving.refusals import Refusal
from pcb_spark.serving.settings import Settings
from tests.serving import services
from tests.serving.fuzzing_uploads import FORM, JSON, form

if TYPE_CHECKING:
    from starlette.testclient import TestClient
    from starlette.types import Message

((IMAGE, GOLDEN),) = services.pairs(1)


def one_image(**trace: Any) -> bytes:
    return json.dumps(services.encoded([(IMAGE, GOLDEN)], **trace)).encode()


@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "told"),
    [
        ("text/plain", b"", 415, "unsupported_media_type", "text/plain"),
        ("application/json; charset=latin-1", b"{}", 415, "unsupported_media_type", "latin-1"),
        (JSON, b"{", 422, "invalid_json", "EOF"),
        (JSON, b"{}", 422, "invalid_json", "images: Field required"),
        (JSON, b'{"images": []}', 422, "invalid_json", "at least 1 item"),
        (JSON, b'{"images": [{"image": "A"}]}', 422, "malformed_base64", "multiple of 4"),
        (JSON, b'{"images": [{"image": "", "board": 1}]}', 422, "invalid_json", "images.0.board"),
        (JSON, one_image(line=""), 422, "invalid_json", "images.0.line"),
        (JSON, one_image(board_id=7), 422, "invalid_json", "images.0.board_id"),
        (JSON, one_image(reference_sha256="A" * 64), 422, "invalid_json", "reference_sha256"),
        (FORM, b"", 400, "malformed_multipart", "last boundary"),
        (FORM, form(("image", IMAGE))[:-10], 400, "malformed_multipart", "last boundary"),
        (FORM, form(), 422, "invalid_form", None),
        (FORM, form(("picture", IMAGE)), 422, "invalid_form", "picture"),
        (FORM, form(("image", IMAGE), name_of_file=None), 422, "invalid_form", "no filename"),
        (FORM, form(("image", IMAGE), *[("reference", GOLDEN)] * 2), 422, "invalid_form", "2"),
        (FORM, form(("image", IMAGE), ("trace", b"[]")), 422, "invalid_form", "0"),
        (FORM, form(("image", IMAGE), ("trace", b"{")), 422, "invalid_json", "EOF"),
        ("multipart/form-data", form(("image", IMAGE)), 400, "malformed_multipart", "boundary"),
    ],
)  # fmt: skip
def test_malformed_request_is_refused_with_what_is_wrong(
    asking: TestClient, kind: str, body: bytes, status: int, code: str, told: str | None
) -> None:
    answer = asking.post("/v1/inspect", content=body, headers={"Content-Type": kind})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["what"]
    if told is not None:
        assert told in error["got"]


def test_what_stood_in_a_wrong_field_is_not_repeated(asking: TestClient) -> None:
    body = services.encoded([(IMAGE, GOLDEN)])
    body["images"][0]["image"] = ["c2VjcmV0"]
    answer = asking.post("/v1/inspect", json=body)
    assert answer.status_code == 422
    assert "c2VjcmV0" not in answer.text


@pytest.mark.parametrize("chunked", [False, True])
def test_request_that_is_too_large_is_refused(folder: Path, chunked: bool) -> None:
    body = form(("image", bytes(2 << 20)))
    content = iter([body[: 1 << 19], body[1 << 19 :]]) if chunked else body
    with services.client(folder, body_mib=1) as asking:
        answer = asking.post("/v1/inspect", content=content, headers={"Content-Type": FORM})
    assert answer.status_code == 413
    assert answer.json()["error"]["expected"] == "1,048,576 bytes at most"


def test_too_many_images_are_refused(folder: Path) -> None:
    with services.client(folder, images=2) as asking:
        answer = asking.post("/v1/inspect", json=services.encoded([(IMAGE, GOLDEN)] * 3))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_images")


def test_image_with_too_many_pixels_is_not_decoded(folder: Path) -> None:
    with services.client(folder, pixels=10_000_000) as asking:
        big = services.png_of(4000, 2600)
        answer = asking.post("/v1/inspect", files=services.files([(big, GOLDEN)]))
    assert answer.status_code == 422
    assert answer.json()["results"][0]["reason"] == "too_many_pixels"


def test_request_id_of_the_client_is_kept_if_it_is_a_plain_one(asking: TestClient) -> None:
    plain = asking.get("/healthz", headers={"X-Request-ID": "line3:42"})
    strange = asking.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert plain.headers["X-Request-ID"] == "line3:42"
    assert strange.headers["X-Request-ID"].isalnum()


@pytest.mark.parametrize(
    ("call", "status"),
    [("GET /v1/inspect", 405), ("DELETE /metrics", 405), ("GET /v2", 404), ("GET /docs/x", 404)],
)
def test_what_is_not_there_is_told_in_the_same_form(
    asking: TestClient, call: str, status: int
) -> None:
    answer = asking.request(*call.split())
    assert answer.status_code == status
    assert answer.json()["error"]["what"]
    assert (status == 405) is ("Allow" in answer.headers)


def request(receive: Callable[[], Awaitable[Message]]) -> Request:
    headers = [(b"content-type", JSON.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def test_client_that_does_not_go_on_is_given_up() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Refusal) as caught:
        asyncio.run(uploads.read(request(never), Settings(read_seconds=0.1)))
    assert (caught.value.status, caught.value.fault.code) == (408, "too_slow")


def test_client_that_goes_is_not_decided_for() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(Refusal) as caught:
        asyncio.run(uploads.read(request(gone), Settings()))
    assert (caught.value.status, caught.value.fault.code) == (400, "incomplete")
