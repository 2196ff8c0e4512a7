"""The page of docs/ about the review page tells the same story as the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pcb_spark.core import verifications
from pcb_spark.review import verdicts
from pcb_spark.serving import review_settings, service
from pcb_spark.serving.metrics import ReviewMetrics
from tests.serving.test_service_page import OF_REVIEW

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / "pcb_spark" / "serving"
PAGE = (ROOT / "docs" / "how-to" / "review.md").read_text(encoding="utf-8")
ACTIONS = (SERVING / "page" / "actions.js").read_text(encoding="utf-8")
#: Of requests, as the service's page has them.
SHARED = {"pcb_requests", "pcb_request_seconds", "pcb_refused"}


@pytest.mark.parametrize("command", ["review", "verdicts"])
def test_every_flag_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        service.main([command, "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}

    assert flags <= set(re.findall(r"`(--[a-z-]+)", PAGE))


def test_every_refusal_is_documented() -> None:
    text = "".join((SERVING / f"{name}.py").read_text(encoding="utf-8") for name in OF_REVIEW)
    found = set(re.findall(r"HTTPStatus\.[A-Z_]+,\s+\"([a-z0-9_]+)\"", text))
    declined = {
        verdicts.OTHER_ENTRY, verdicts.UNKNOWN_ITEM, verdicts.NOT_YOURS, verdicts.NOT_UNDOABLE
    }  # fmt: skip
    named = set(re.findall(r"`([a-z0-9_]+)`", PAGE.partition("| status |")[2]))

    assert len(found) >= 4
    assert found | declined <= named


def test_every_metric_is_documented() -> None:
    names = {each.name for each in ReviewMetrics().registry.collect()} - SHARED
    documented = {each.removesuffix("_total") for each in re.findall(r"`(pcb_[a-z_]+)`", PAGE)}

    assert names <= documented


def test_every_setting_and_action_is_documented() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    for name in review_settings.ReviewSettings.model_fields:
        assert re.search(rf"\b{name}\b", block)
    for name in review_settings.KEYS:
        assert re.search(rf"\b{name}\b", block)


def test_the_page_knows_every_state_and_every_action() -> None:
    states = set(re.findall(r'state: "(\w+)"', ACTIONS))
    named = set(re.findall(r'name: "(\w+)"', ACTIONS))

    assert states == {*verifications.VERDICTS, verdicts.UNSURE}
    assert named | {"help"} == set(review_settings.KEYS)
    for state, verdict in re.findall(r'state: "(\w+)", verdict: "(\w+)"', ACTIONS):
        assert verifications.VERDICTS[state] == verdict
