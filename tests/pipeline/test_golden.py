"""The whole job with golden images of the line's own boards, on the tables of the rendered drop."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, edge_bundle, names, signatures
from pcb_spark.core.decisions import Decider
from pcb_spark.core.errors import InputError
from pcb_spark.core.layouts import Traits
from pcb_spark.core.scorer import Scorer
from pcb_spark.lake import schemas, tables
from pcb_spark.pipeline import golden, references, run_featurize, run_score, run_train
from pcb_spark.pipeline.export import run_export
from tests import drops
from tests.leased import claimed
from tests.pipeline.whole_run import SETTINGS, Drop

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pcb_spark.pipeline import Job

pytestmark = pytest.mark.slow

#: Each position of a product comes five times only.
OWN = (
    "features.reference=own", "golden.least=1", "folds.n=2", "folds.first_fraction=0.6",
    "folds.learning_curve=0", "scoring.reuse_features=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def own(
    spark: SparkSession, drop: Drop, out: Path, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    """Golden images, features, model and scores, on the images and verdicts of the first run."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("images", "verdicts"):
        shutil.copytree(out / name, folder / name)
    job = drops.job(spark, drop.root, folder, *SETTINGS, *OWN)
    for name, step in (
        ("golden", golden.run_golden),
        ("featurize", run_featurize),
        ("train", run_train),
        ("score", golden.run_golden_if_served),
        ("score", run_score),
    ):
        with claimed(job, name) as leased:
            step(leased)
    return job


def table(job: Job, name: str) -> DataFrame:
    schema = {
        "images": schemas.IMAGES, "verdicts": schemas.VERDICTS, "goldens": schemas.GOLDENS,
        "features": schemas.FEATURES_TABLE, "scores": schemas.SCORES, "rejects": schemas.REJECTS,
    }[name]  # fmt: skip
    return tables.read(job.spark, job.table(name), schema)


def test_features_are_of_golden_images_that_earlier_days_made(own: Job) -> None:
    taken = table(own, "images").select(names.IMAGE_ID, names.CAPTURE_DATE).collect()
    days: dict[str, date] = {row[0]: row[1] for row in taken}
    good = {
        row[0]
        for row in table(own, "verdicts").where("verdict = 'pass'").select(names.IMAGE_ID).collect()
    }
    made_of = {
        row[names.REFERENCE_SHA256]: row[names.GOLDEN_IMAGES]
        for row in table(own, "goldens").where(F.col(names.REFERENCE).isNotNull()).collect()
    }
    columns = (names.IMAGE_ID, names.REFERENCE_SHA256)
    judged = table(own, "features").select(*columns).collect()
    assert len(judged) > 100
    for image_id, golden_image in judged:
        assert set(made_of[golden_image]) <= good
        assert max(days[each] for each in made_of[golden_image]) < days[image_id]


def test_images_without_one_go_to_an_operator_with_the_reason(own: Job) -> None:
    first = date(2026, 1, 5)
    told = table(own, "scores").where(F.col(names.REASON).isNotNull())
    rows = told.select(
        names.STATUS, names.REASON, names.DECISION, names.REVIEW, names.REFERENCE_SHA256
    ).distinct()
    assert {tuple(row) for row in rows.collect()} == {
        ("unscorable", "golden_missing", "unscorable", review, None)
        for review in ("unscorable", "control")
    }
    assert told.where(F.col(names.CAPTURE_DATE) == first).count() == (
        table(own, "images").where(F.col(names.CAPTURE_DATE) == first).count()
    )
    rejected = table(own, "rejects").where("stage = 'featurize'")
    assert {row[names.REASON] for row in rejected.collect()} >= {"golden_missing"}


def test_scores_name_the_golden_image_by_which_the_edge_finds_the_same(own: Job) -> None:
    model = bundle.read(Path(own.out) / "bundle")
    assert model.manifest.references == names.OWN
    scorer = Scorer(model)
    files = {
        row[0]: bytes(row[1])
        for row in table(own, "goldens").where(F.col(names.REFERENCE).isNotNull())
        .select(names.REFERENCE_SHA256, names.REFERENCE).collect()
    }  # fmt: skip
    assert {bundle.sha256(content) for content in files.values()} == set(files)
    scored = table(own, "scores").where(F.col(names.PROBABILITY).isNotNull())
    pixels = table(own, "images").select(names.IMAGE_ID, names.IMAGE)
    rows = scored.join(pixels, names.IMAGE_ID).orderBy(names.IMAGE_ID).limit(40).collect()
    assert len({row[names.REFERENCE_SHA256] for row in rows}) > 5
    for row in rows:
        found = scorer.score(bytes(row[names.IMAGE]), files[row[names.REFERENCE_SHA256]])
        assert (found.probability, found.decision) == (
            row[names.PROBABILITY], row[names.DECISION],
        )  # fmt: skip
    without = scorer.score(bytes(rows[0][names.IMAGE]))
    assert (without.decision, without.reason) == ("unscorable", "golden_missing")


def test_an_edge_bundle_brings_golden_images_and_decides_the_same_bit_for_bit(
    own: Job, tmp_path: Path
) -> None:
    signatures.write_pair(tmp_path / "plant.key")
    trusted = signatures.read_public([tmp_path / "plant.pub"])
    day = date(2026, 1, 14)
    morning = dataclasses.replace(own, started_at=datetime(2026, 1, 14, 5, tzinfo=UTC))
    with claimed(morning, "export") as leased:
        edge = run_export(leased, to=tmp_path / "edge.zip", key=tmp_path / "plant.key")
    opened = edge_bundle.open_bundle(tmp_path / "edge.zip", trusted)
    assert opened.manifest.goldens == edge.manifest.goldens
    decider = Decider(opened)
    assert not decider.takes_handed_over

    later = table(own, "scores").where(F.col(names.CAPTURE_DATE) >= F.lit(day))
    pixels = table(own, "images").select(names.IMAGE_ID, names.IMAGE)
    rows = later.join(pixels, names.IMAGE_ID).orderBy(names.IMAGE_ID).collect()
    assert len(rows) > 40
    columns = (names.PROBABILITY, names.DECISION, names.REASON, names.REVIEW)
    for row in rows:
        told = {name: row[name] for name in ("line", "lot", "board_id", "position", "part_number")}
        found = decider.decide(
            bytes(row[names.IMAGE]), None, path="p", image_id=row[names.IMAGE_ID],
            traits=Traits(**told, captured_at=row[names.CAPTURED_AT].replace(tzinfo=UTC)),
            content_sha256="0" * 64, reference_path=None, now=morning.started_at,
        )  # fmt: skip
        sha256 = row[names.REFERENCE_SHA256]
        assert found.reference == (sha256 and f"goldens/{sha256}")
        assert [getattr(found, name) for name in columns] == [row[name] for name in columns]
    reasons = {row[names.REASON] for row in rows}
    assert reasons == {None, names.GOLDEN_MISSING}


def test_the_feature_set_tells_own_from_handed_over(own: Job, out: Path) -> None:
    one, other = (bundle.read(Path(each) / "bundle").manifest for each in (own.out, out))
    assert other.references == names.HANDED_OVER
    assert one.feature_set != other.feature_set
    assert one.feature_count == other.feature_count


def test_a_second_night_makes_only_what_is_new(own: Job) -> None:
    before = table(own, "goldens").count()
    counts = golden.run_golden(dataclasses.replace(own, run_id="20260106T060000Z-second"))
    assert (counts.rows_in, counts.rows_out, counts.rows_rejected) == (0, 0, 0)
    assert table(own, "goldens").count() == before


@pytest.mark.parametrize(
    ("reference", "handed", "chosen"),
    [
        ("auto", "most", (True, names.HANDED_OVER)),
        ("auto", "none", (True, names.OWN_OR_PINNED)),
        ("own", "most", (True, names.OWN)),
        ("own", "none", (True, names.OWN_OR_PINNED)),
        ("difference", "most", (True, names.HANDED_OVER)),
        ("none", "none", (False, names.HANDED_OVER)),
    ],
)
def test_what_is_compared_follows_from_what_there_is(
    own: Job, reference: str, handed: str, chosen: tuple[bool, str]
) -> None:
    job = _with(own, f"features.reference={reference}", "features.levels=['layer1']")
    images = table(own, "images")
    if handed == "none":
        images = images.withColumn(names.REFERENCE_SHA256, F.lit(None).cast("string"))
    spec = references.choose_spec(job, images)
    assert (spec.difference, spec.reading.references) == chosen
    assert job.notes[-1].startswith("compared with ")


def test_auto_judges_without_where_positions_never_come_again(own: Job) -> None:
    job = _with(own, "features.reference=auto", "features.levels=['layer1']")
    images = table(own, "images").withColumns(
        {
            names.REFERENCE_SHA256: F.lit(None).cast("string"),
            names.POSITION: F.col(names.IMAGE_ID),
        }
    )
    assert not references.choose_spec(job, images).difference
    job = _with(own, "features.reference=own")
    with pytest.raises(InputError, match=r"(?s)own golden images.*run the golden job"):
        references.choose_spec(job, images)


def _with(own: Job, *overrides: str) -> Job:
    settings: tuple[Any, ...] = (*SETTINGS, *OWN, *overrides)
    return drops.job(own.spark, own.config.paths.drop, Path(own.out), *settings)
