"""Ingest as it goes through the days: files, references and verdicts arrive one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark.lake import filesystem, leases, tables
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.pipeline import run_ingest
from pcb_spark.pipeline.jobs import JOBS
from tests import drops

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = "images/line=L1/date=2026-01-05"
HEADER = "image,reference,lot,verdict,operator_id,verified_at\n"
JPEG = drops.picture(90, file_format="JPEG")


def ingest(spark: SparkSession, folder: Path, run: str, *overrides: str) -> tuple[int, int, int]:
    """Run it on ``folder / drop`` under a run's id; rows in, out and rejected of images."""
    job = drops.job(spark, folder / "drop", folder / "out", *overrides)
    counts = run_ingest(type(job)(spark=spark, config=job.config, run_id=run))
    return counts.rows_in, counts.rows_out, counts.rows_rejected


def table(spark: SparkSession, folder: Path, name: str, *columns: str) -> list[tuple[Any, ...]]:
    return drops.rows(spark, folder / "out", name, *columns)


def rejects(spark: SparkSession, folder: Path) -> list[tuple[str, str, str]]:
    """The file's name, reason and run of each reject."""
    found = table(spark, folder, "rejects", "source_uri", "reason", "run_id")
    return [(uri.rpartition("/")[2], reason, run) for uri, reason, run in found]


def read_by_petastorm(folder: Path) -> list[str]:
    from petastorm import make_reader

    uri = (folder / "out" / "images").as_uri()
    with make_reader(uri, reader_pool_type="dummy", num_epochs=1) as reader:
        return sorted(row.board_id for row in reader)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:parsing timezone aware datetimes:DeprecationWarning")
def test_day_after_day(spark: SparkSession, tmp_path: Path) -> None:
    drops.write(
        tmp_path / "drop",
        {
            f"{DAY}/a_P1.png": drops.picture(1),
            f"{DAY}/b_P1.png": drops.picture(2),
            f"{DAY}/c_P1.jpg": JPEG[: len(JPEG) // 2],
            f"{DAY}/d_P1.png": b"",
            f"{DAY}/e_P1.png": "no picture",
            f"{DAY}/f_P1.png": drops.picture(3),
            "verdicts.csv": HEADER + f"{DAY}/b_P1.png,references/P1.png,,,,\n",
        },
    )
    assert ingest(spark, tmp_path, "run-1") == (6, 3, 3)
    assert rejects(spark, tmp_path) == [
        ("c_P1.jpg", "truncated_image", "run-1"),
        ("d_P1.png", "empty_file", "run-1"),
        ("e_P1.png", "not_an_image", "run-1"),
        ("P1.png", "reference_missing", "run-1"),
    ]

    # Nothing new: what may have healed is tried again, and stays where it was.
    assert ingest(spark, tmp_path, "run-2") == (2, 0, 2)
    assert [run for *_, run in rejects(spark, tmp_path)] == ["run-1"] * 4

    drops.write(
        tmp_path / "drop",
        {
            f"{DAY}/a_P1.png": drops.picture(11),
            f"{DAY}/c_P1.jpg": JPEG,
            f"{DAY}/d_P1.png": drops.picture(4),
            f"{DAY}/f_P1.png": drops.picture(3)[:30],
            f"{DAY}/g_P1.png": drops.picture(5),
            "references/P1.png": drops.picture(200),
            "verdicts.csv": HEADER
            + f"{DAY}/b_P1.png,references/P1.png,lot-7,pass,kim,2026-01-05T08:00:00Z\n",
            "verdicts/late.jsonl": json.dumps(
                {"image": f"{DAY}/b_P1.png", "verdict": "fail", "operator_id": "lee",
                 "verified_at": "2026-01-05T09:00:00Z"}
            ),
        },
    )  # fmt: skip
    assert ingest(spark, tmp_path, "run-3") == (5, 4, 1)
    assert table(spark, tmp_path, "images", "board_id", "lot", "image", "reference") == [
        ("a", None, drops.picture(11), None),
        ("b", "lot-7", drops.picture(2), drops.picture(200)),
        ("c", None, JPEG, None),
        ("d", None, drops.picture(4), None),
        ("f", None, drops.picture(3), None),
        ("g", None, drops.picture(5), None),
    ]
    assert table(spark, tmp_path, "verdicts", "verdict", "operator_id", "operators_disagree") == [
        ("fail", "lee", True)
    ]
    after = [
        ("b_P1.png", "verdict_superseded", "run-3"),
        ("e_P1.png", "not_an_image", "run-1"),
        ("f_P1.png", "unusable_reupload", "run-3"),
    ]
    assert rejects(spark, tmp_path) == after
    assert read_by_petastorm(tmp_path) == ["a", "b", "c", "d", "f", "g"]

    # The files may go; what they said stays.
    shutil.rmtree(tmp_path / "drop" / "verdicts")
    (tmp_path / "drop" / "verdicts.csv").unlink()
    ingest(spark, tmp_path, "run-4")
    assert table(spark, tmp_path, "verdicts", "verdict", "operator_id", "operators_disagree") == [
        ("fail", "lee", True)
    ]


@pytest.mark.slow
def test_flat_names_sidecars_manifest_cfx_and_files_still_being_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    sidecar = {"line": "L9", "captured_at": "2026-01-05T07:00:00", "part_number": "10-77"}
    inspected = {
        "MessageName": "CFX.Production.TestAndInspection.UnitsInspected",
        "TimeStamp": "2026-01-06T07:30:00+01:00",
        "MessageBody": {
            "Inspector": {"OperatorIdentifier": "kim"},
            "InspectedUnits": [
                {
                    "UnitIdentifier": "00041",
                    "Inspections": [
                        {
                            "DefectsFound": [
                                {
                                    "DefectCode": "TMB",
                                    "ComponentOfInterest": {"ReferenceDesignator": "R1"},
                                    "Verification": "DefectConfirmed",
                                }
                            ]
                        }
                    ],
                }
            ],
        },
    }
    drop = drops.write(
        tmp_path / "drop",
        {
            "images/L1-00041-R1-20260105T060000.png": drops.picture(1),
            "images/b2_P1.png": drops.picture(2),
            "images/b2_P1.png.json": json.dumps(sidecar),
            "images/b3_P1.png": drops.picture(3),
            "images/b4_P1.png": drops.picture(4),
            "manifest.csv": "image,captured_at,lot\nimages/b3_P1.png,2026-01-05 08:00:00,B7\n",
            "verdicts/m1.json": json.dumps(inspected),
        },
    )
    settings = (
        "ingest.pattern='(?P<line>L\\d)-(?P<board_id>\\d+)-(?P<position>\\w+)-(?P<captured_at>\\w+)'",
        "ingest.time_format='%Y%m%dT%H%M%S'",
        "ingest.timezone='Europe/Berlin'",
    )
    assert ingest(spark, tmp_path, "run-1", *settings) == (4, 3, 1)
    columns = "board_id", "line", "lot", "part_number", "date_format(captured_at, 'HH:mm')"
    rows = spark.read.parquet(str(tmp_path / "out" / "images")).selectExpr(*columns).collect()
    assert sorted(tuple(row) for row in rows) == [
        ("00041", "L1", None, None, "05:00"),
        ("b2", "L9", None, "10-77", "06:00"),
        ("b3", None, "B7", None, "07:00"),
    ]
    assert rejects(spark, tmp_path) == [("b4_P1.png", "capture_time_missing", "run-1")]
    # What a manifest or a sidecar names without a verdict is not yet verified.
    assert table(spark, tmp_path, "verdicts", "verdict", "defects", "operator_id") == [
        (None, None, None),
        (None, None, None),
        ("fail", "TMB", "kim"),
    ]

    # A file younger than the settle time is left for the next run; a sidecar may follow its image.
    drops.write(
        drop,
        {
            "images/b4_P1.png.json": json.dumps(sidecar | {"lot": "B8"}),
            "images/b5_P1.png": drops.picture(5),
        },
    )
    assert ingest(spark, tmp_path, "run-2", *settings, "ingest.settle_seconds=3600") == (0, 0, 0)
    assert ingest(spark, tmp_path, "run-3", *settings) == (2, 1, 1)
    assert rejects(spark, tmp_path) == [("b5_P1.png", "capture_time_missing", "run-3")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (filesystem, "move", 3),  # two files have their names, the first of them isn't in the table
        (filesystem, "move", 4),  # one day of the micro-batch is in the table, the other isn't
        (tables, "append", 1),  # images are there, their rejects aren't
        (tables, "append", 2),  # both are there, the ledger isn't
    ],
)
def test_what_a_kill_leaves_is_completed_by_the_next_run(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    owner: object, name: str, call: int,
) -> None:  # fmt: skip
    drops.write(
        tmp_path / "drop",
        {
            "images/date=2026-01-05/a_P1.png": drops.picture(1),
            "images/date=2026-01-06/b_P1.png": drops.picture(2),
            "images/date=2026-01-06/c_P1.png": "no picture",
        },
    )
    drops.kill_at(monkeypatch, owner, name, call)
    with pytest.raises(drops.Killed):
        ingest_by_listing(spark, tmp_path)
    monkeypatch.undo()
    assert ingest(spark, tmp_path, "run-2") == (3, 2, 1)
    assert table(spark, tmp_path, "images", "board_id") == [("a",), ("b",)]
    assert [found[:2] for found in rejects(spark, tmp_path)] == [("c_P1.png", "not_an_image")]


def ingest_by_listing(spark: SparkSession, folder: Path) -> None:
    """Absorb the drop in this thread, without a stream."""
    from pcb_spark.ingest.drop import Drop
    from pcb_spark.ingest.intake import Intake

    job = drops.job(spark, folder / "drop", folder / "out")
    root = tables.qualified(spark, str(folder / "drop"))
    intake = Intake(
        job, Drop(job.spark, job.config.ingest, root), ImageStore(spark, str(folder / "out"))
    )
    try:
        intake.look()
    finally:
        intake.close()


def test_exchange_that_a_killed_job_left_is_finished(spark: SparkSession, tmp_path: Path) -> None:
    day = "capture_date=2026-01-05"
    plan = json.dumps({"successor": str(tmp_path / ".ingest/rows"), "parts": [[day, True]]})
    drops.write(tmp_path, {
        ".exchange-images/plan.json": plan, f"images/{day}/part-1.parquet": b"old",
        f".ingest/rows/{day}/part-2.parquet": b"new", ".ingest/rows/part-3": b"half",
    })  # fmt: skip
    claim = JOBS["ingest"].claim
    with leases.held(spark, str(tmp_path), claim=claim, job="ingest", run_id="run-2") as lease:
        ImageStore(spark, str(tmp_path), lease).recover()
    assert [path.name for path in (tmp_path / "images" / day).iterdir()] == ["part-2.parquet"]
    assert not (tmp_path / ".ingest").exists()
