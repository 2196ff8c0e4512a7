from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from faults import servers
from pcb_spark.core.scorer import Score, Scorer
from tests import edge
from tests.network import connect_client


def test_a_session_without_synapseml_decides_as_core_does(tmp_path: Path) -> None:
    with servers.connect(tmp_path) as address:
        done = subprocess.run(
            [sys.executable, "-m", "tests.network.connect_client", address],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["session"] == "pyspark.sql.connect.session"
    scorer = Scorer(edge.model())
    assert [Score(**each) for each in found["scores"]] == [
        scorer.score(*pair) for pair in connect_client.pairs()
    ]
