"""Nights on a copy of the whole run's tables: what they score, publish, and do over."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names
from pcb_spark.core.errors import ApprovalError
from pcb_spark.lake import exchange, tables
from pcb_spark.pipeline import approval, decisions, nightly, score
from pcb_spark.pipeline.nightly import Days
from tests import drops, registries
from tests.pipeline.nights import BY_ME, FIRST, SECOND, THIRD, night, prepare

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pcb_spark.pipeline import Job
    from pcb_spark.pipeline.registry import Registry

pytestmark = pytest.mark.slow

#: What a night that was done over may have other than an undisturbed one.
_OF_THE_RUN = {names.RUN_ID, names.SCORED_AT, "published_at"}


@pytest.fixture
def plant(copy: Job) -> Job:
    """A plant whose first night is still to come, and whose champion is version 1."""
    return prepare(copy)


def rows(job: Job, table: str) -> dict[str, dict[str, Any]]:
    found = job.spark.read.parquet(job.table(table)).collect()
    return {row[names.IMAGE_ID]: row.asDict() for row in found}


def counts(job: Job, table: str) -> dict[date, int]:
    found = job.spark.read.parquet(job.table(table)).groupBy(names.CAPTURE_DATE).count().collect()
    return {row[0]: row[1] for row in found}


def another_version(
    plant: Job, folder: Path, *, until: date = THIRD, **threshold_of: float
) -> Registry:
    """Register version 2: the same graph, which clears nothing if not told otherwise."""
    own = bundle.read(Path(plant.config.paths.out) / "bundle")
    about = dataclasses.asdict(own.manifest)
    threshold = {**about["threshold"], "value": 0.0, "by_segment": {}, **threshold_of}
    window = {**about["training_window"], "until": until.isoformat()}
    about |= {"threshold": threshold, "training_window": window}
    about["model_version"] = "2026-01-16-clears-nothing"
    bundle.write(folder / "bundle", about, own.parts)
    opened = registries.opened(Path(plant.config.paths.out))
    opened.register(dataclasses.replace(registries.entry(folder / "x"), folder=folder))
    return opened


def test_nights_score_each_day_once_and_catch_up(plant: Job) -> None:
    first = night(plant, 15)
    assert counts(first, "decisions") == {FIRST: 20}
    assert counts(first, "scores") == {FIRST: 20}

    again = night(plant, 15)
    assert counts(again, "decisions") == {FIRST: 20}
    assert again.notes[-1] == (
        "no new images until 2026-01-14; run 20260115T030000Z-night1 published last"
    )

    after_an_outage = night(plant, 19)
    assert counts(after_an_outage, "decisions") == {FIRST: 20, SECOND: 20, THIRD: 20}
    assert after_an_outage.notes[1] == (
        "scored 40 images of 2026-01-15 to 2026-01-16, 40 decisions published; 0 had been decided "
        "before, 0 of them differently"
    )
    published, scored = rows(plant, "decisions"), rows(plant, "scores")
    assert published.keys() == scored.keys()
    sha = approval.history(plant, "pcb_spark")[0].bundle_sha256
    for image, row in published.items():
        assert row["decision"] == scored[image]["decision"]
        assert (row["registry_version"], row["bundle_sha256"]) == ("1", sha)


def test_nights_begin_after_the_training_of_the_first_champion(plant: Job) -> None:
    job = night(plant, 20, since=None)

    assert job.notes[1:] == [
        "no images of 2026-01-17 to 2026-01-19; --date, or --from and --to, score other days"
    ]
    assert not (Path(plant.config.paths.out) / "decisions").exists()


def test_a_late_image_is_added_to_its_day(plant: Job, spark: SparkSession) -> None:
    images = plant.table("images")
    whole = Path(images) / f"capture_date={FIRST}"
    late = spark.read.parquet(str(whole)).limit(3)
    ids = {row[names.IMAGE_ID] for row in late.select(names.IMAGE_ID).collect()}
    shutil.copytree(whole, whole.parent.parent / "aside")
    rest = spark.read.parquet(str(whole)).where(~F.col(names.IMAGE_ID).isin(ids))
    rest.write.parquet(str(whole.parent.parent / "rest"))
    shutil.rmtree(whole)
    shutil.move(whole.parent.parent / "rest", whole)
    night(plant, 15)
    before = rows(plant, "scores")
    assert len(before) == 17
    shutil.rmtree(whole)
    shutil.move(whole.parent.parent / "aside", whole)

    job = night(plant, 16)

    assert counts(job, "scores") == {FIRST: 20, SECOND: 20}
    after = rows(job, "scores")
    assert {image: after[image] for image in before} == before
    assert {i for i, row in after.items() if row["run_id"] == job.run_id} >= ids


def test_a_date_is_scored_again_as_a_whole_by_todays_champion(plant: Job, tmp_path: Path) -> None:
    night(plant, 16)
    before = rows(plant, "scores")
    opened = another_version(plant, tmp_path / "two")
    approval.promote(plant, opened, opened.require("2"), BY_ME)

    job = night(plant, 17, Days(first=SECOND, last=SECOND))

    cleared = sum(
        row["decision"] == "pass" for row in before.values() if row["capture_date"] == SECOND
    )
    assert cleared > 0
    assert job.notes[1].endswith(f"20 had been decided before, {cleared} of them differently")
    after = rows(job, "scores")
    for image, row in after.items():
        if row["capture_date"] == FIRST:
            assert row == before[image]
        else:
            assert (row["model_version"], row["decision"]) == ("2026-01-16-clears-nothing", "fail")
    # What was published stays.
    assert counts(job, "decisions") == {FIRST: 20, SECOND: 40}

    night(plant, 18, Days(first=SECOND, last=SECOND))
    assert counts(job, "decisions") == {FIRST: 20, SECOND: 40}


def thresholds(job: Job) -> dict[date, set[float]]:
    found: dict[date, set[float]] = {}
    for row in rows(job, "scores").values():
        found.setdefault(row["capture_date"], set()).add(row["threshold"])
    return found


def test_a_night_clears_no_larger_share_than_the_evidence_did(plant: Job, tmp_path: Path) -> None:
    """Of 100 out-of-fold images one lay below .5: of a night of 20 that is none, by a margin."""
    opened = another_version(
        plant, tmp_path / "two", until=date(2026, 1, 13),
        value=0.5, slips=0, cleared_good=1, good=60, defects=40,
    )  # fmt: skip
    approval.promote(plant, opened, opened.require("2"), BY_ME)

    first = night(plant, 15)
    assert thresholds(first) == {FIRST: {0.5}}
    lowest = min(row["probability"] for row in rows(first, "scores").values())
    assert lowest < 0.5

    second = night(plant, 16)
    assert thresholds(second) == {FIRST: {0.5}, SECOND: {lowest}}
    assert counts(second, "share_caps") == {SECOND: 1}
    (kept,) = second.spark.read.parquet(second.table("share_caps")).collect()
    assert (kept["night"], kept["value"], kept["run_id"]) == (FIRST, lowest, second.run_id)

    again = night(plant, 17, Days(first=SECOND, last=SECOND))
    assert thresholds(again)[SECOND] == {lowest}
    assert counts(again, "share_caps") == {SECOND: 1}

    policy = plant.config.policy.model_copy(update={"share_cap": False})
    uncapped = dataclasses.replace(plant, config=plant.config.model_copy(update={"policy": policy}))
    assert thresholds(night(uncapped, 17, Days(first=SECOND, last=SECOND)))[SECOND] == {0.5}


def test_a_run_has_one_version_though_the_champion_changes_meanwhile(
    plant: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = another_version(plant, tmp_path / "two")

    def swap(job: Job) -> None:
        approval.promote(job, opened, opened.require("2"), BY_ME)

    monkeypatch.setattr(nightly, "run_ingest", swap)

    job = night(plant, 17, take_in=True)

    assert {row["registry_version"] for row in rows(job, "decisions").values()} == {"1"}
    assert approval.champion(job, opened).version.number == "2"


def test_no_night_scores_by_a_model_that_nobody_promoted(plant: Job, tmp_path: Path) -> None:
    opened = another_version(plant, tmp_path / "two")
    opened.client.set_registered_model_alias(opened.model, "champion", "2")

    with pytest.raises(ApprovalError, match="no promotion made version 2 the champion"):
        night(plant, 15)
    assert not (Path(plant.config.paths.out) / "scores").exists()


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (tables, "append", 1),  # it was watched, and nothing is noted of that
        (exchange, "swap", 1),  # the scores are written, and not in their place
        (score, "ask", 1),  # they are, and nobody is asked
        (decisions, "publish", 1),  # and nothing is published
        (nightly, "close_books", 1),  # all is, and the books are open
    ],
)
def test_a_night_that_is_killed_and_done_over_ends_as_an_undisturbed_one(
    owner: object,
    name: str,
    call: int,
    plant: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    untouched = dataclasses.replace(
        plant, config=plant.config.model_copy(update={"paths": _moved(plant, tmp_path / "calm")})
    )
    shutil.copytree(plant.config.paths.out, untouched.config.paths.out)
    with monkeypatch.context() as patch:
        drops.kill_at(patch, owner, name, call)
        with pytest.raises(drops.Killed):
            night(plant, 16)

    night(plant, 16)
    night(untouched, 16)

    for table in ("scores", "reviews", "decisions"):
        assert _same(rows(plant, table)) == _same(rows(untouched, table))
        assert counts(plant, table) == counts(untouched, table)


def _moved(job: Job, out: Path) -> Any:
    return job.config.paths.model_copy(update={"out": str(out)})


def _same(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        image: {name: value for name, value in row.items() if name not in _OF_THE_RUN}
        for image, row in found.items()
    }
