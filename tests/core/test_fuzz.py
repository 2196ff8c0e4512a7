"""20,000 mutated files: each is decoded or refused with a reason, whatever its bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pcb_spark.core import images, names
from tests.core import fuzzing

SEED = 20260105
#: Set by ``make fuzz`` to more of them.
CASES = int(os.environ.get("FUZZ_CASES", "20000"))
#: Resident memory of a worker, MB; it is 70 for small files.
PEAK_MB = 1200


@pytest.mark.slow
def test_every_mutated_file_is_decoded_or_refused_with_a_reason(tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    command = [
        sys.executable,
        "-m",
        "tests.core.fuzzing",
        str(SEED),
        "0",
        str(CASES),
        str(progress),
    ]
    worker = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, check=False
    )
    last = progress.read_text(encoding="ascii").strip()
    said = worker.stderr.decode(errors="replace")[-2000:]
    assert worker.returncode == 0, f"seed {SEED}, case {last}: {said}"
    report = fuzzing.Report(**json.loads(worker.stdout))
    assert report.faults == []
    assert set(report.rejected) == set(names.IMAGE_REASONS)
    assert report.decoded + sum(report.rejected.values()) == CASES
    assert report.decoded > CASES / 10
    assert len(report.formats) >= 8
    assert report.slowest < fuzzing.LONGEST
    assert report.peak_mb < PEAK_MB


def test_a_case_is_the_same_every_time() -> None:
    assert fuzzing.case(1, 7) == fuzzing.case(1, 7)
    assert fuzzing.case(1, 7) != fuzzing.case(1, 8)


@pytest.mark.parametrize("kind", fuzzing.originals())
def test_originals_of_five_formats_are_read_and_the_others_refused(kind: str) -> None:
    for data in fuzzing.originals()[kind]:
        report = fuzzing.Report()
        fuzzing.check(data, report)
        expected = {} if kind in fuzzing.READ else {"not_an_image": 1}
        assert asdict(report)["rejected"] == expected


def test_a_fault_of_the_reader_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError(len(data))

    monkeypatch.setattr(images, "decode", fail)
    progress = os.open(tmp_path / "progress", os.O_CREAT | os.O_WRONLY)
    report = fuzzing.work(1, 0, 2, progress)
    os.close(progress)
    assert [fault.split(": ")[1] for fault in report.faults] == ["ZeroDivisionError"] * 2
