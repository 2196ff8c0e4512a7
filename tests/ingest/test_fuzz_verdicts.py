"""Mutated files of verdicts: every row is read or told, and none is for an image nobody named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.ingest import verdict_csv, verdict_files, verdict_paths, verdicts
from tests.ingest import fuzzing_verdicts as fuzzing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.ingest.verdict_form import Form, Row

SEED = 20260105
#: Set by ``make fuzz`` to more of them.
CASES = int(os.environ.get("FUZZ_CASES", "20000"))
TABLES, TABLES_A_DROP = CASES // 100, 100  # Spark looks at each on its own
PEAK_MB = 1200


@pytest.mark.slow
def test_every_row_of_a_mutated_text_is_read_or_told(tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    command = [
        sys.executable, "-m", "tests.ingest.fuzzing_verdicts", str(SEED), "0", str(CASES),
        str(progress),
    ]  # fmt: skip
    worker = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, check=False
    )
    last = progress.read_text(encoding="ascii").strip()
    said = worker.stderr.decode(errors="replace")[-2000:]
    assert worker.returncode == 0, f"seed {SEED}, case {last}: {said}"
    report = fuzzing.Report(**json.loads(worker.stdout))
    assert report.faults == []
    assert report.files == CASES
    assert set(report.kinds) == {name for name, _ in fuzzing.originals()}
    assert set(report.rejected) == {
        "verdict_unreadable", "verdict_row_malformed", "verdict_file_malformed",
        "message_without_verdict",
    }  # fmt: skip
    assert report.rows - sum(report.rejected.values()) > CASES
    assert report.slowest < fuzzing.LONGEST
    assert report.peak_mb < PEAK_MB


@pytest.mark.slow
def test_every_row_of_a_damaged_table_is_read_or_told(spark: SparkSession, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for first in range(0, TABLES, TABLES_A_DROP):
        folder = tmp_path / str(first)
        folder.mkdir()
        for number in range(first, first + TABLES_A_DROP):
            (folder / f"{number}.parquet").write_bytes(fuzzing.damaged_table(SEED, number))
        outcomes += read_drop(spark, folder)
    assert sum(outcomes.values()) == TABLES
    assert outcomes["read"] > TABLES / 10
    assert outcomes["told"] > TABLES / 10


def read_drop(spark: SparkSession, folder: Path) -> Counter[str]:
    """Bring the files of a folder as far as the table ``verdicts``; how many could be read."""
    files = [(f"file:{path}", path.stat().st_size) for path in sorted(folder.iterdir())]
    raw = verdict_files.read(spark, files).cache()
    by_file = {
        row["file"]: (row["n"], row["faults"])
        for row in raw.groupBy("file")
        .agg(F.count("*").alias("n"), F.count("fault").alias("faults")).collect()
    }  # fmt: skip
    assert set(by_file) == {uri for uri, _ in files}
    assert set(by_file.values()) <= {(1, 1), (len(fuzzing.NAMED), 0)}
    known = spark.createDataFrame(
        [(path,) for path in (*fuzzing.NAMED, *fuzzing.OTHERS)], "path string"
    )
    manifest = verdicts.read_manifest(raw)
    readings = verdict_paths.read(manifest, verdicts.KEY, root=fuzzing.ROOT)
    known = verdict_paths.files(known)
    located = verdict_paths.correct(manifest, verdicts.KEY, readings, known)
    described = known.selectExpr(
        "path relative_path", "image_id", "date'2026-01-05' capture_date", "string(null) reason"
    )
    settled, rejected = verdicts.effective(located, described, root=fuzzing.ROOT)
    labelled = {row["relative_path"] for row in settled.select("relative_path").collect()}
    assert labelled <= set(fuzzing.NAMED)
    assert raw.count() == settled.count() + rejected.count()
    raw.unpersist()
    return Counter("told" if faults else "read" for _, faults in by_file.values())


def test_a_case_is_the_same_every_time() -> None:
    assert fuzzing.case(1, 7) == fuzzing.case(1, 7)
    assert fuzzing.damaged_table(1, 7) == fuzzing.damaged_table(1, 7)


@pytest.mark.parametrize("name", [name for name, _ in fuzzing.originals()])
def test_sound_files_are_read_as_a_whole(name: str) -> None:
    report = fuzzing.Report()
    fuzzing.check(name, dict(fuzzing.originals())[name], report)
    assert set(report.rejected) <= {"message_without_verdict"}
    assert report.rows > 0


def lenient(text: str, _: Form) -> Iterator[Row]:
    """What was before: values are put under the header whatever their number."""
    import csv
    import io

    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader)
    for values in reader:
        yield dict(zip(header, values, strict=False))


def test_a_fault_of_the_parser_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verdict_csv, "parse", lenient)
    progress = os.open(tmp_path / "progress", os.O_CREAT | os.O_WRONLY)
    report = fuzzing.work(SEED, 0, 200, progress)
    os.close(progress)
    assert len(report.faults) > 10
