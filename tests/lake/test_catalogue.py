from __future__ import annotations

import pytest

from pcb_spark.core import names
from pcb_spark.lake import catalogue, schemas
from pcb_spark.pipeline.jobs import JOBS, SERVICE, JobRecord

NAMES = {table.name for table in catalogue.TABLES}


def test_each_table_has_one_record() -> None:
    assert len(NAMES) == len(catalogue.TABLES)


def test_compact_writes_anew_what_grows_by_small_files_in_one_folder() -> None:
    assert catalogue.flat() == {
        "verdicts": schemas.VERDICTS, "rejects": schemas.REJECTS, "files": schemas.FILES,
        "sidecars": schemas.SIDECARS, "goldens": schemas.GOLDENS,
        "out_of_fold": schemas.OUT_OF_FOLD, "suspects": schemas.SUSPECTS, "trials": schemas.TRIALS,
        "metrics": schemas.METRICS, "runs": schemas.RUNS, "decisions": schemas.DECISIONS,
        "promotions": schemas.PROMOTIONS, "clearing": schemas.CLEARING,
        "share_caps": schemas.SHARE_CAPS, "monitor": schemas.MONITOR,
        "tune_features_difference": schemas.FEATURES_TABLE,
        "tune_features_none": schemas.FEATURES_TABLE,
    }  # fmt: skip


def test_what_prune_removes_has_a_capture_date() -> None:
    dated = catalogue.retained("days", "rows")
    searches = {"tune_features_difference", "tune_features_none"}
    assert set(dated) == {"images", "features", "scores", "reviews", "rejects"} | searches
    assert all(names.CAPTURE_DATE in schema.names for schema in dated.values())
    assert set(catalogue.retained("images", "ledger")) == {"verdicts", "files"}


@pytest.mark.parametrize("record", [*JOBS.values(), SERVICE], ids=lambda record: record.name)
def test_jobs_claim_tables_of_the_catalogue(record: JobRecord) -> None:
    assert record.claim.tables <= NAMES


def test_every_table_is_written_by_some_job() -> None:
    claims = [record.claim for record in JOBS.values()]
    assert {name for claim in claims for name in claim.exchanges | claim.appends} == NAMES
