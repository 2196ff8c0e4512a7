from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime
from typing import Any

from pcb_spark.report import board
from pcb_spark.report.board import Board, Flag
from pcb_spark.report.explained import Circumstances
from tests.report import evidence
from tests.report.test_page import Page

MODEL = evidence.model()
SHA = MODEL.manifest.model_sha256
NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)


def flag(number: int, **changes: Any) -> Flag:
    """An image of the gallery's twelve, cleared if nothing else is told."""
    image = {
        "image_id": f"i{number:02d}", "board_id": "b<1>", "position": f"R{number}", "line": "L1",
        "captured_at": datetime(2026, 3, 1, 9, tzinfo=UTC), "capture_date": date(2026, 3, 1),
    }  # fmt: skip
    score = image | {
        "probability": 0.1, "threshold": 0.25, "decision": "pass", "reason": None, "review": None,
        "review_probability": 0.03, "in_training_window": False, "model_sha256": SHA,
        "model_version": "v7", "run_id": "r", "scored_at": NOW,
    } | changes  # fmt: skip
    published = score | {"published_at": NOW, "registry_version": "3", "bundle_sha256": "b" * 64}
    then = Circumstances(manifest=MODEL.manifest, stop=None, cap=None)
    return Flag(image=image, score=score, published=[published], verdict=None, then=then)


def whole(*flags: Flag, **changes: Any) -> Board:
    found = Board(
        board_id="b<1>", where="out", made_at=NOW, flags=flags, models={SHA: MODEL},
        registered={SHA: "3"}, pairs={each.image["image_id"]: evidence.pair(1) for each in flags},
        max_pixels=10_000_000,
    )  # fmt: skip
    return dataclasses.replace(found, **changes)


def test_the_page_shows_each_image_with_its_pictures_and_why() -> None:
    page = Page(board.render(whole(flag(1), flag(2, decision="fail", review="decision"))))

    assert "2 flags, 1 cleared, an operator looks at 1" in page.text
    assert "Nobody looks: it was cleared" in page.text
    assert "An operator looks: it wasn't cleared." in page.text
    assert [image["alt"].partition(" of ")[0] for image in page.images] == [
        "Component image", "Golden reference", "Heat map",
    ] * 2  # fmt: skip
    assert page.cells.count("R1") == page.cells.count("R2") == 1
    assert SHA in page.text
    assert "version in the registry 3" in page.text
    assert "Of the next 200 defects at most 4 slip" in page.text


def test_the_page_needs_no_other_file_and_takes_no_name_for_a_tag() -> None:
    html = board.render(whole(flag(1)))

    assert [each[:5] for each in Page(html).addresses] == ["data:"] * 3
    assert "<1>" not in html


def test_without_its_model_an_image_has_no_heat_map_and_without_its_file_no_picture() -> None:
    gone = whole(flag(1), flag(2), models={}, notes=["no heat maps of model v7: it is gone"])
    pairs = {"i01": evidence.pair(1)}
    page = Page(board.render(dataclasses.replace(gone, pairs=pairs)))

    assert len(page.images) == 2
    assert "no heat maps of model v7: it is gone" in page.text
    assert "The image can't be shown" in page.text


def test_an_image_that_nothing_has_scored_goes_to_an_operator() -> None:
    then = Circumstances(manifest=None, stop=None, cap=None)
    open_flag = dataclasses.replace(flag(1), score=None, published=[], then=then)
    page = Page(board.render(whole(open_flag)))

    assert "1 flag, 0 cleared, an operator looks at 1" in page.text
    assert "No run has scored this board." in page.text


def test_json_says_the_same() -> None:
    verdict = {"verdict": "fail", "defects": "open", "operators_disagree": False}
    judged = dataclasses.replace(flag(1), verdict=verdict)
    found = json.loads(board.to_json(whole(judged)))

    assert found["board_id"] == "b<1>"
    assert found["models"] == [
        {
            "model_version": "v7",
            "model_sha256": SHA,
            "registry_version": "3",
            "threshold": {"value": 0.25, "reason": MODEL.manifest.threshold["reason"]},
        }
    ]
    (image,) = found["images"]
    assert (image["position"], image["captured_at"]) == ("R1", "2026-03-01T09:00:00+00:00")
    assert (image["score"]["probability"], image["outcome"]) == (0.1, "fail (open): a slip")
    assert image["published"][0]["registry_version"] == "3"
    assert image["verdict"] == verdict
    assert image["why"][0] == "Its score, 0.1, lies below the threshold, 0.25: cleared."
    assert [each["name"] for each in image["pictures"]] == ["image", "reference", "heat map"]
    assert all(each["uri"].startswith("data:image/jpeg;base64,") for each in image["pictures"])
