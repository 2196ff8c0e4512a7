"""SIGKILL at a random moment; ``make kill-ingest`` does it 20 times with 5,000 images."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import kill_ingest


@pytest.mark.slow
def test_each_file_is_taken_in_once_however_often_the_service_is_killed(tmp_path: Path) -> None:
    outcome = kill_ingest.run(tmp_path / "plant", images=200, kills=1, seed=1)
    assert outcome.faults == []
    assert (outcome.kills, outcome.images, outcome.rejects) == (1, 196, 4)
    assert outcome.reads > 0
