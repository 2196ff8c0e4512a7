from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcb_spark.cli import main
from pcb_spark.pipeline import logs, outcome

if TYPE_CHECKING:
    import pytest


def test_how_a_run_ended_is_written_for_prometheus(tmp_path: Path) -> None:
    file = tmp_path / "night.prom"

    assert outcome.tell("nightly", 14, time.monotonic() - 61.5, file) == 14

    text = file.read_text()
    assert 'pcb_spark_run_exit_code{job="nightly"} 14.0' in text
    assert 'pcb_spark_run_seconds{job="nightly"} 61.5' in text
    assert 'pcb_spark_run_ended_timestamp_seconds{job="nightly"}' in text
    nowhere = tmp_path / "nowhere" / "night.prom"
    assert outcome.tell("nightly", 0, 0.0, nowhere) == 2
    assert outcome.tell("nightly", 9, 0.0, nowhere) == 9


def test_each_line_of_the_log_may_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("run-1", as_json=True)
    logging.getLogger("pcb_spark.there").warning("%d rows from abfss://c@a?sig=secret", 3)

    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["run"], told["level"], told["logger"]) == ("run-1", "WARNING", "pcb_spark.there")
    assert told["message"].startswith("3 rows from ")
    assert "secret" not in line
    assert told["time"].endswith("+00:00")


def test_a_command_that_ends_says_so_in_the_form_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "doctor.prom"

    assert main(["nightly", "--log-json", "--textfile", str(file), "--set", "no.key=1"]) == 2

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "INFO"]
    assert lines[1]["message"].startswith("nightly ended: exit code 2, ")
    assert 'pcb_spark_run_exit_code{job="nightly"} 2.0' in file.read_text()
