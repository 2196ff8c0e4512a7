"""What nights published, as files for AOI and MES."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import names
from pcb_spark.core.errors import InputError
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import decisions
from pcb_spark.pipeline.decision_files import LIST, run_decisions
from tests import registries
from tests.leased import claimed

if TYPE_CHECKING:
    from pcb_spark.pipeline import Job

pytestmark = pytest.mark.slow

DAY = date(2026, 1, 15)


def published(job: Job) -> dict[str, bool]:
    """Publish the scores of the day; of each image whether it is cleared, and nobody looks."""
    images = tables.read(job.spark, job.table("images"), schemas.IMAGES)
    scores = tables.read(job.spark, job.table("scores"), schemas.SCORES)
    day = scores.where(F.col("capture_date") == DAY)
    decisions.publish(job, day, images, registries.VERSION, [DAY])
    return {
        row[names.IMAGE_ID]: row[names.DECISION] == "pass" and row[names.REVIEW] is None
        for row in day.collect()
    }


def write(job: Job, to: Path, form: str = "json", day: date | None = None) -> dict[str, bytes]:
    """The files of the day's folder, by their names."""
    with claimed(job, "decisions") as own:
        run_decisions(own, to=to, form=form, day=day)
        job.notes[:] = own.notes
    return {path.name: path.read_bytes() for path in (to / form / f"{DAY}").iterdir()}


def test_a_night_goes_out_whole_and_again_as_it_is(copy: Job, tmp_path: Path) -> None:
    cleared = published(copy)
    files = write(copy, tmp_path)

    listed = json.loads(files.pop(LIST))
    assert (listed["capture_date"], listed["files"].keys()) == (str(DAY), files.keys())
    told = [flag for content in files.values() for flag in json.loads(content)["flags"]]
    assert {each["image_id"]: each["goes_to"] == "cleared" for each in told} == cleared
    assert len(told) == len(cleared) == 20
    assert "written" in copy.notes[0]

    folder = tmp_path / "json" / f"{DAY}"
    before = folder.stat().st_ino
    # What a run left behind that was killed.
    (tmp_path / "json" / f".{DAY}.part").mkdir()
    assert write(copy, tmp_path, day=DAY).keys() == {*files, LIST}
    assert (folder.stat().st_ino, "as they were" in copy.notes[0]) == (before, True)
    assert [path.name for path in (tmp_path / "json").iterdir()] == [str(DAY)]

    one = next(iter(files))
    (folder / one).write_text("spoiled")
    assert write(copy, tmp_path)[one] == files[one]
    assert "written" in copy.notes[0]


def test_a_later_decision_takes_the_place_of_an_earlier_one(copy: Job, tmp_path: Path) -> None:
    published(copy)
    write(copy, tmp_path, "csv")
    own = tables.read(copy.spark, copy.table("decisions"), schemas.DECISIONS)
    later = own.withColumns({
        names.DECISION: F.lit("fail"), names.REVIEW: F.lit("decision"),
        "published_at": F.col("published_at") + F.expr("interval 1 day"),
    })  # fmt: skip
    rows = [tuple(row) for row in later.select(schemas.DECISIONS.names).collect()]
    tables.append_rows(copy.spark, rows, copy.table("decisions"), schemas.DECISIONS)

    files = write(copy, tmp_path, "csv")

    assert not any(b",cleared," in content for content in files.values())


def test_a_folder_stays_when_the_scores_of_its_date_were_pruned(copy: Job, tmp_path: Path) -> None:
    published(copy)
    files = write(copy, tmp_path)
    shutil.rmtree(Path(copy.out) / "scores")

    with pytest.raises(InputError, match=f"scores of {DAY} are gone"):
        write(copy, tmp_path)
    assert {p.name for p in (tmp_path / "json" / f"{DAY}").iterdir()} == files.keys()


def test_a_date_that_no_night_decided_is_told(copy: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no night has published anything"):
        write(copy, tmp_path)
    with pytest.raises(InputError, match=f"no night has published decisions of {DAY}"):
        write(copy, tmp_path, day=DAY)
