from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from pcb_spark.core import bundle, names, review
from pcb_spark.core.scorer import Scorer
from tests import edge
from tests.rows import NO_IMAGE, noise
from tests.serving import services

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PAIRS = services.pairs(12)


def decided(answer: Any) -> list[tuple[float | None, str]]:
    assert answer.status_code == 200, answer.text
    return [(each["probability"], each["decision"]) for each in answer.json()["results"]]


def test_many_images_get_the_bits_that_core_gives_each_alone(asking: TestClient) -> None:
    answer = asking.post("/v1/inspect", files=services.files(PAIRS))
    expected = services.told_by_core(services.deciding(), PAIRS)
    assert decided(answer) == expected
    assert {decision for _, decision in expected} == {"pass", "fail"}


def test_images_of_one_reference_get_these_bits_too(asking: TestClient) -> None:
    golden = PAIRS[0][1]
    shared = [(image, golden) for image, _ in PAIRS]
    images = [("image", image) for image, _ in PAIRS]
    answer = asking.post("/v1/inspect", files=[*images, ("reference", golden)])
    assert decided(answer) == services.told_by_core(services.deciding(), shared)


def test_json_says_the_same_as_a_form(asking: TestClient) -> None:
    answer = asking.post("/v1/inspect", json=services.encoded(PAIRS[:4]))
    assert decided(answer) == decided(asking.post("/v1/inspect", files=services.files(PAIRS[:4])))


def test_one_image_may_come_alone(asking: TestClient) -> None:
    answer = asking.post("/v1/inspect", files=services.files(PAIRS[:1]))
    assert decided(answer) == services.told_by_core(services.deciding(), PAIRS[:1])


def test_reference_is_known_by_its_hash_from_the_second_time_on(asking: TestClient) -> None:
    image, golden = noise(31), noise(32)
    sha256 = hashlib.sha256(golden).hexdigest()
    by_hash = services.encoded([(image, None)], reference_sha256=sha256)

    unknown = asking.post("/v1/inspect", json=by_hash)
    first = asking.post("/v1/inspect", json=services.encoded([(image, golden)]))
    second = asking.post("/v1/inspect", json=by_hash)

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (409, "unknown_reference")
    assert first.json()["results"][0]["reference_sha256"] == sha256
    assert decided(second) == decided(first)


def test_reference_has_to_be_the_one_that_its_hash_names(asking: TestClient) -> None:
    wrong = services.encoded(PAIRS[:1], reference_sha256="0" * 64)
    answer = asking.post("/v1/inspect", json=wrong)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "another_reference")


def test_model_that_does_not_compare_needs_no_reference(tmp_path: Path) -> None:
    made = services.model(services.ALONE)
    scorer = Scorer(made)
    with services.client(services.write(tmp_path / "bundle", made)) as asking:
        answer = asking.post("/v1/inspect", files=services.files([(i, None) for i, _ in PAIRS]))
    expected = [scorer.score(image) for image, _ in PAIRS]
    assert decided(answer) == [(each.probability, each.decision) for each in expected]


def test_line_with_a_threshold_of_its_own_is_held_against_it(tmp_path: Path) -> None:
    evidence = {"value": 0.0, "segment_by": "line", "by_segment": {"L1": {"value": 1.0}}}
    bundle = services.write(tmp_path / "bundle", services.model(threshold=evidence))
    with services.client(bundle) as asking:
        found = [
            asking.post("/v1/inspect", json=services.encoded(PAIRS[:1], **trace)).json()["results"]
            for trace in ({"line": "L1"}, {"line": "L2"}, {})
        ]
    assert [result["decision"] for (result,) in found] == ["pass", "fail", "fail"]
    assert [result["threshold"] for (result,) in found] == [1.0, 0.0, 0.0]


def test_control_and_audit_are_drawn_as_core_draws_them(asking: TestClient) -> None:
    traces = [{"board_id": f"b{n}", "image_id": f"i{n:03d}"} for n in range(12)]
    body = {
        "images": [
            services.encoded([pair], **trace)["images"][0]
            for pair, trace in zip(PAIRS, traces, strict=True)
        ]
    }
    scores = services.told_by_core(services.deciding(), PAIRS)
    high_from = services.deciding().manifest.threshold["audit_high_from"]
    expected = [
        review.review(
            decision, score, high_from=high_from, shares=services.SHARES, unseen=False, **trace
        )
        for (score, decision), trace in zip(scores, traces, strict=True)
    ]

    results = asking.post("/v1/inspect", json=body).json()["results"]

    assert [each["review"] for each in results] == [each.reason for each in expected]
    assert [each["review_probability"] for each in results] == [
        each.probability for each in expected
    ]
    assert [each["to_operator"] for each in results] == [
        each.reason is not None for each in expected
    ]
    assert {each["review"] for each in results} >= {"control", "decision", None}


def test_traces_of_a_form_go_by_the_order_of_its_images(asking: TestClient) -> None:
    traces = '[{"board_id": "b7", "position": "R1"}, {"board_id": "b8"}]'
    answer = asking.post(
        "/v1/inspect", files=services.files(PAIRS[:2]), data={"trace": traces}
    ).json()
    places = [(each["board_id"], each["position"]) for each in answer["results"]]
    assert places == [("b7", "R1"), ("b8", None)]


def test_image_without_an_id_has_one_of_its_content(asking: TestClient) -> None:
    (result,) = asking.post("/v1/inspect", files=services.files(PAIRS[:1])).json()["results"]
    assert result["image_id"] == hashlib.sha256(PAIRS[0][0]).hexdigest()[:32]


def test_image_without_a_reference_goes_to_an_operator(asking: TestClient) -> None:
    answer = asking.post("/v1/inspect", files=services.files([(PAIRS[0][0], None)]))
    (result,) = answer.json()["results"]
    assert answer.status_code == 200
    assert (result["decision"], result["reason"]) == ("unscorable", "reference_missing")
    assert result["to_operator"]


def test_own_golden_images_of_the_bundle_are_found_by_position(tmp_path: Path) -> None:
    made = services.deciding()
    manifest = dataclasses.replace(made.manifest, references=names.OWN)
    sealed = edge.sealed(
        made=bundle.Bundle(manifest=manifest, parts=made.parts),
        own={f"R{number}": golden for number, (_, golden) in enumerate(PAIRS[:4])},
    )
    listed = [
        services.encoded([(image, None)], position=f"R{number}")["images"][0]
        for number, (image, _) in enumerate(PAIRS[:4])
    ]
    listed += services.encoded([(PAIRS[0][0], None)], position="R9")["images"]

    with services.client(edge.folder(tmp_path / "bundle", sealed)) as asking:
        answer = asking.post("/v1/inspect", json={"images": listed})

    results = answer.json()["results"]
    assert decided(answer)[:4] == services.told_by_core(made, PAIRS[:4])
    assert [each["reference_sha256"] for each in results] == [
        *(hashlib.sha256(golden).hexdigest() for _, golden in PAIRS[:4]), None,
    ]  # fmt: skip
    assert results[4]["reason"] == names.GOLDEN_MISSING


@pytest.mark.parametrize("which", ["image", "reference"])
def test_unreadable_file_is_a_422_that_keeps_the_others_results(
    asking: TestClient, which: str
) -> None:
    image, golden = PAIRS[1]
    broken = (NO_IMAGE, golden) if which == "image" else (image, NO_IMAGE)
    answer = asking.post("/v1/inspect", files=services.files([PAIRS[0], broken]))
    found = answer.json()
    reason = "not_an_image" if which == "image" else "reference_unusable"
    assert answer.status_code == 422
    assert found["error"]["code"] == "unreadable_image"
    assert found["error"]["got"].startswith(reason)
    assert [each["reason"] for each in found["results"]] == [None, reason]
    assert (
        found["results"][0]["probability"]
        == services.told_by_core(services.deciding(), PAIRS[:1])[0][0]
    )
    assert found["results"][1]["to_operator"]


def test_grey_and_coloured_images_of_one_reference_keep_their_bits(asking: TestClient) -> None:
    grey = np.random.default_rng(3).integers(0, 256, (40, 40), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    pairs = [(file.getvalue(), PAIRS[0][1]), (PAIRS[0][0], PAIRS[0][1])] * 3
    answer = asking.post("/v1/inspect", files=services.files(pairs))
    assert decided(answer) == services.told_by_core(services.deciding(), pairs)
