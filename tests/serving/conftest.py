"""Fixtures of the service's tests: one small model, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serving import services

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that compares images with their references; nobody changes it."""
    return services.write(tmp_path_factory.mktemp("serving") / "bundle", services.deciding())


@pytest.fixture(scope="module")
def asking(folder: Path) -> Iterator[TestClient]:
    """A client of a service without keys."""
    with services.client(folder) as client:
        yield client
