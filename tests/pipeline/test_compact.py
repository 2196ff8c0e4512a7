from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import AccountingError
from pcb_spark.lake import filesystem, image_table, schemas, tables
from pcb_spark.lake.image_table import ImageStore
from pcb_spark.pipeline import run_compact, summary
from tests import drops
from tests.leased import claimed
from tests.rows import images_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MONDAY, TUESDAY = "capture_date=2026-01-05", "capture_date=2026-01-06"


def bulky(count: int) -> list[tuple[bytes, None]]:
    """Files of 100 kB that don't compress; hour by hour, the first 18 are Monday's."""
    return [(np.random.default_rng(n).bytes(100_000), None) for n in range(count)]


def filled(spark: SparkSession, out: Path, count: int, batches: int) -> ImageStore:
    """The table as so many micro-batches leave it."""
    store = ImageStore(spark, str(out))
    rows = images_table(spark, bulky(count)).persist()
    for batch in range(batches):
        number = F.substring(names.IMAGE_ID, 2, 3).cast("int")
        store.add(rows.where(number % batches == batch))
    rows.unpersist()
    return store


def content(store: ImageStore) -> list[Any]:
    return sorted(store.read().collect())


def files(out: Path, day: str) -> list[Path]:
    return sorted((out / "images" / day).glob("*.parquet"))


def row_groups(paths: list[Path]) -> list[int]:
    """Rows of each row group."""
    found = [pq.ParquetFile(path).metadata for path in paths]
    return [about.row_group(n).num_rows for about in found for n in range(about.num_row_groups)]


def known_to_petastorm(out: Path) -> dict[str, int]:
    about = pq.read_schema(out / "images" / "_common_metadata").metadata
    counts: dict[str, int] = json.loads(about[b"dataset-toolkit.num_row_groups_per_file.v1"])
    return counts


def read_by_petastorm(out: Path) -> list[str]:
    from petastorm import make_reader

    uri = (out / "images").as_uri()
    with make_reader(
        uri, reader_pool_type="dummy", num_epochs=1, schema_fields=["image_id"]
    ) as reader:
        return sorted(row.image_id for row in reader)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:parsing timezone aware datetimes:DeprecationWarning")
def test_small_files_become_few_with_the_same_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(image_table.ROW_GROUPS, "parquet.block.size", str(400_000))
    store = filled(spark, tmp_path, 24, batches=6)
    verdict = spark.createDataFrame([("i000", "pass", None, None, None, None)], schemas.VERDICTS)
    for _ in range(3):
        tables.append(verdict, str(tmp_path / "verdicts"), schemas.VERDICTS)
    before = content(store)
    assert (len(files(tmp_path, MONDAY)), len(files(tmp_path, TUESDAY))) == (6, 6)

    job = drops.job(spark, "", tmp_path, "compact.target_mb=1")
    with claimed(job, "compact") as own:
        done = {each.table: each for each in run_compact(own)}
    assert (done["images"].files_before, done["images"].rows_before) == (12, 24)
    assert (done["verdicts"].files_before, done["verdicts"].files_after) == (3, 1)
    monday, tuesday = files(tmp_path, MONDAY), files(tmp_path, TUESDAY)
    assert (len(monday), len(tuesday)) == (2, 1)  # 1.8 and 0.6 MB
    assert done["images"].files_after == 3
    assert max(row_groups(monday)) <= 6
    assert content(store) == before
    assert len(drops.rows(spark, tmp_path, "verdicts", "image_id")) == 3
    assert read_by_petastorm(tmp_path) == [f"i{n:03d}" for n in range(24)]
    assert set(known_to_petastorm(tmp_path)) == {
        f"{path.parent.name}/{path.name}" for path in (*monday, *tuesday)
    }
    assert "compact        24 images rows in = 24 out + 0 rejected" in summary.of_run(job)

    # What is compact already stays as it is.
    again = {each.table: each for each in run_compact(job)}
    assert (again["images"].files_after, again["images"].left_alone) == (3, 3)
    assert (files(tmp_path, MONDAY), files(tmp_path, TUESDAY)) == (monday, tuesday)


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        1,  # the new file hasn't got its name
        2,  # it has, the old ones are in place
        3,  # the old ones stepped aside, the new one isn't there
    ],
)
def test_what_a_kill_leaves_is_put_right(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    store = filled(spark, tmp_path, 4, batches=2)
    before = content(store)
    drops.kill_at(monkeypatch, filesystem, "move", call)
    job = drops.job(spark, "", tmp_path)
    with claimed(job, "compact") as own, pytest.raises(drops.Killed):
        run_compact(own)
    monkeypatch.undo()
    with claimed(job, "ingest") as own:
        ImageStore(spark, str(tmp_path), own.lease).recover()
    assert content(store) == before
    run_compact(job)
    assert len(files(tmp_path, MONDAY)) == 1
    assert content(store) == before
    assert not list(tmp_path.glob(".ingest*"))


@pytest.mark.slow
def test_rows_that_would_get_lost_stay(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(spark, tmp_path, 4, batches=2)
    before = content(store)
    writer = tables.writer

    def forgetful(df: DataFrame, *arguments: Any, **options: Any) -> Any:
        return writer(df.where(F.col(names.IMAGE_ID) != "i002"), *arguments, **options)

    monkeypatch.setattr(tables, "writer", forgetful)
    with pytest.raises(AccountingError, match=r"expected: 4 rows(?s:.*)got: 3 rows"):
        run_compact(drops.job(spark, "", tmp_path))
    monkeypatch.undo()
    assert content(store) == before
