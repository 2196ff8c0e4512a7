"""The page of docs/ about the service tells the same story as the service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pcb_spark.serving import service
from pcb_spark.serving.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "service.md").read_text(encoding="utf-8")
#: Modules of the review page, which has a page of docs/ of its own.
OF_REVIEW = ("review_app", "desk", "visitors", "lead_routes")
SOURCES = sorted(
    path for path in (ROOT / "pcb_spark" / "serving").glob("*.py") if path.stem not in OF_REVIEW
)


def codes() -> set[str]:
    """Of every refusal: beside its status, or named in the apology."""
    texts = [path.read_text(encoding="utf-8") for path in SOURCES]
    found = re.findall(r"HTTPStatus\.[A-Z_]+,\s+\"([a-z0-9_]+)\"", "".join(texts))
    return {*found, "invalid_form", "internal", "not_found", "method_not_allowed"}


@pytest.mark.parametrize("command", ["start", "key"])
def test_every_flag_is_documented_and_no_other(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        service.main([command, "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE.partition("## Flags")[2].partition("\n## ")[0]))
    assert flags <= named


def test_every_refusal_is_documented() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", PAGE.partition("| status |")[2].partition("\n\n")[0]))
    assert len(codes()) > 15
    assert codes() - named == set()


def test_every_metric_is_documented() -> None:
    names = {each.name for each in Metrics().registry.collect()}
    documented = {each.removesuffix("_total") for each in re.findall(r"`(pcb_[a-z_]+)`", PAGE)}
    assert names <= documented
