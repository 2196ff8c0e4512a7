"""Whatever is uploaded is answered 4xx in the project's form, and the service goes on."""

from __future__ import annotations

import collections
import os
from typing import TYPE_CHECKING

from pcb_spark.serving import wire
from tests.serving import fuzzing_uploads, services

if TYPE_CHECKING:
    from starlette.testclient import TestClient

COUNT = int(os.environ.get("FUZZ_UPLOADS", "360"))


def test_malformed_upload_is_a_4xx_that_says_why(asking: TestClient) -> None:
    pairs = services.pairs(1)
    before = asking.post("/v1/inspect", files=services.files(pairs)).json()["results"]
    statuses: collections.Counter[tuple[str, int]] = collections.Counter()
    for number in range(COUNT):
        sent = fuzzing_uploads.upload(20, number)
        answer = asking.post(
            "/v1/inspect", content=sent.body, headers={"Content-Type": sent.content_type}
        )
        statuses[sent.kind, answer.status_code] += 1
        if answer.status_code == 200 and sent.kind in fuzzing_uploads.PERHAPS_SOUND:
            continue
        case = f"upload {number} ({sent.kind}): {answer.status_code} {answer.text[:300]}"
        assert 400 <= answer.status_code < 500, case
        assert wire.ErrorAnswer.model_validate_json(answer.text).error.what, case
    after = asking.post("/v1/inspect", files=services.files(pairs)).json()["results"]
    assert after == before
    print(dict(sorted(statuses.items())))  # noqa: T201  the count that `make fuzz-service` shows
    refused = sum(n for (_, status), n in statuses.items() if status != 200)
    assert refused > 0.8 * COUNT
