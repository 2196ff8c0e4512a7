"""One store for each test of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pcb_spark.review import database

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    engine = database.open_store(f"sqlite:///{tmp_path}/verdicts.db")
    yield engine
    engine.dispose()
