from __future__ import annotations

import re
from pathlib import Path

import pytest

from pcb_spark.cli import JOBS
from pcb_spark.core import names
from pcb_spark.pipeline import config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", config.known_keys())
def test_readme_names_every_configuration_key(key: str) -> None:
    assert f"`{key}`" in README


@pytest.mark.parametrize("job", [*JOBS, "demo", "doctor"])
def test_readme_names_every_command(job: str) -> None:
    assert f"`pcb-spark {job}`" in README


@pytest.mark.parametrize("path", sorted(path.name for path in (ROOT / "jobs").glob("*.py")))
def test_readme_names_every_job_file(path: str) -> None:
    assert f"`jobs/{path}`" in README


@pytest.mark.parametrize(
    "reason", [*names.IMAGE_REASONS, *names.REJECT_REASONS, *names.SUSPECT_REASONS]
)
def test_readme_names_every_reason(reason: str) -> None:
    assert f"`{reason}`" in README


def test_readme_has_no_empty_section() -> None:
    assert re.findall(r"<!-- \w+:begin -->\s*<!-- \w+:end -->", README) == []


@pytest.mark.parametrize("target", re.findall(r"make ([a-z-]+)", README))
def test_every_make_target_of_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
