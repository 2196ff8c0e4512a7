"""The whole job on a rendered drop: twice, and then again from its parts."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from pyspark.sql import functions as F

from pcb_spark.core import bundle, names, policy
from pcb_spark.core.errors import BackboneError, BundleError
from pcb_spark.core.linear import Linear
from pcb_spark.lake import schemas, tables
from pcb_spark.lake.scopes import Scope
from pcb_spark.learning import precision
from pcb_spark.pipeline import Job, run_score, run_train
from pcb_spark.pipeline.artifacts import read_bundle
from tests import drops
from tests.pipeline.whole_run import IMAGES, NOT_A_PICTURE, Drop

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

#: Why an operator sees an image that isn't cleared.
NOT_CLEARED = ("decision", "unscorable", "control")


def test_books_balance_at_every_stage(spark: SparkSession, out: Path, drop: Drop) -> None:
    columns = ("job", "kind", "rows_in", "rows_out", "rows_rejected")
    unverified = drop.summary.unverified
    assert unverified > 0
    assert drops.rows(spark, out, "runs", *columns) == [
        ("featurize", "image", 200, 199, 1),
        ("ingest", "image", 201, 200, 1),
        ("ingest", "verdict", 200, 200, 0),
        ("score", "image", 200, 200, 0),
        ("train", "image", 199, 199 - unverified, unverified),
    ]


def test_what_was_rejected_has_its_reason(spark: SparkSession, out: Path, drop: Drop) -> None:
    rejected = drops.rows(spark, out, "rejects", "stage", "kind", "reason", "source_uri")
    assert [(*row[:3], row[3].removeprefix(f"file:{drop.root}/")) for row in rejected] == [
        ("featurize", "image", "reference_missing", drop.without_reference),
        ("ingest", "image", "not_an_image", NOT_A_PICTURE),
        ("ingest", "reference", "reference_missing", "references/gone.jpg"),
    ]


def test_every_file_of_the_drop_is_scored_or_rejected(
    spark: SparkSession, out: Path, drop: Drop
) -> None:
    files = {str(path.relative_to(drop.root)) for path in (drop.root / "images").rglob("*.jpg")}
    assert len(files) == 201
    scored = drops.rows(spark, out, "scores", "source_uri", "status", "reason", "decision")
    table_names = [row[0].removeprefix(f"file:{drop.root}/") for row in scored]
    assert sorted([*table_names, NOT_A_PICTURE]) == sorted(files)
    assert [row[1:] for row in scored if row[1] != "ok"] == [
        ("unscorable", "reference_missing", "unscorable")
    ]


def test_decisions_follow_from_score_and_threshold(spark: SparkSession, out: Path) -> None:
    manifest = bundle.read(out / "bundle").manifest
    thresholds = policy.SegmentThresholds.of(manifest.threshold)
    assert thresholds.column == "line"
    columns = (
        "probability", "threshold", "decision", "review", "model_version", "feature_set", "line"
    )  # fmt: skip
    rows = drops.rows(spark, out, "scores", *columns)
    decided: dict[str, int] = {"pass": 0, "fail": 0, "unscorable": 0}
    for probability, used, decision, why, version, feature_set, line in rows:
        assert used == thresholds.values([line])[0] > 0
        cleared = probability is not None and np.float32(probability) < np.float32(used)
        assert (decision == "pass") == cleared
        assert why in ((None, "control", "audit", "audit_high") if cleared else NOT_CLEARED)
        assert (version, feature_set) == (manifest.model_version, manifest.feature_set)
        decided[decision] += 1
    assert decided["unscorable"] == 1
    assert decided["pass"] > 20
    assert decided["fail"] > 20
    audited = sum(row[3] in ("audit", "audit_high") for row in rows)
    assert 0.25 * decided["pass"] < audited < 0.75 * decided["pass"]


def test_who_was_asked_for_is_kept_of_images_without_a_verdict(
    spark: SparkSession, out: Path, drop: Drop
) -> None:
    kept = drops.rows(spark, out, "reviews", "image_id", "review", "review_probability")
    scores = drops.rows(spark, out, "scores", "image_id", "review", "review_probability")
    assert len(kept) == drop.summary.unverified
    assert set(kept) < set(scores)


def test_what_came_again_since_featurize_is_scored_anew(
    spark: SparkSession, copy: Job, out: Path
) -> None:
    """One file holds another's picture by now, one image has another's reference."""
    table = tables.read(spark, copy.table("images"), schemas.IMAGES)
    first, second, other = table.orderBy(names.IMAGE_ID).limit(3).collect()
    changes = [
        (first, (names.IMAGE, names.CONTENT_SHA256)),
        (second, (names.REFERENCE, names.REFERENCE_SHA256)),
    ]
    for row, columns in changes:
        this = F.col(names.IMAGE_ID) == row[names.IMAGE_ID]
        table = table.withColumns({
            name: F.when(this, F.lit(other[name])).otherwise(F.col(name)) for name in columns
        })  # fmt: skip
    tables.replace(table, copy.table("images"), schemas.IMAGES, by_date=True)

    def scored(job: Job) -> dict[str, float]:
        run_score(job)
        return dict(drops.rows(spark, job_out, "scores", "image_id", "probability"))

    job_out = Path(copy.config.paths.out)
    reused = scored(copy)
    chosen = copy.config.scoring.model_copy(update={"reuse_features": False})
    config = copy.config.model_copy(update={"scoring": chosen})
    from_pixels = scored(dataclasses.replace(copy, config=config))
    before = dict(drops.rows(spark, out, "scores", "image_id", "probability"))
    assert reused == from_pixels
    differ = {image_id for image_id in before if before[image_id] != reused[image_id]}
    assert differ == {first[names.IMAGE_ID], second[names.IMAGE_ID]}


def log_odds(out: Path, prefix: str, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of those of the trees and of the line in a bundle's texts."""
    trees, line = (
        (out / "bundle" / f"{prefix}{name}").read_text("utf-8")
        for name in ("classifier.txt", "linear.json")
    )
    odds = np.asarray(lightgbm.Booster(model_str=trees).predict(values, raw_score=True))
    found: NDArray[np.float64] = (odds + Linear.from_json(line).log_odds(values)) / 2
    return found


def test_texts_of_the_bundle_give_the_scores(spark: SparkSession, out: Path) -> None:
    kept = drops.rows(spark, out, "features", "image_id", "features")
    values = np.array([row[1] for row in kept], dtype=np.float32)
    # The last numbers are mean and max of layer1 of the image itself.
    compared, own = values[:, :-512], values[:, -512:]
    odds = 0.75 * log_odds(out, "", compared) + 0.25 * log_odds(out, "image_", own)
    native = 1 / (1 + np.exp(-odds))
    scores = dict(drops.rows(spark, out, "scores", "image_id", "probability"))
    found = np.array([scores[image_id] for image_id, _ in kept])
    assert len(found) == 199
    assert np.abs(found - native).max() < 1e-6


def test_same_seed_gives_the_same_model_and_the_same_scores_bit_for_bit(
    spark: SparkSession, outputs: tuple[Path, Path]
) -> None:
    first, second = (bundle.read(out / "bundle") for out in outputs)
    assert first.parts == second.parts
    assert first.manifest.model_version == second.manifest.model_version
    assert first.manifest.threshold == second.manifest.threshold
    assert first.manifest.metrics == second.manifest.metrics
    for table in ("out_of_fold", "scores"):
        one, two = (drops.rows(spark, o, table, "image_id", "probability") for o in outputs)
        assert len(one) > 100
        assert one == two
    one, two = (drops.rows(spark, o, "scores", "image_id", "decision", "review") for o in outputs)
    assert one == two


def test_out_of_fold_scores_lie_forward_in_time_and_split_no_board(
    spark: SparkSession, out: Path
) -> None:
    rows = drops.rows(spark, out, "out_of_fold", "fold", "captured_at", "board_id", "verdict")
    days = {fold: {row[1].date() for row in rows if row[0] == fold} for fold in (1, 2, 3)}
    # Of ten working days the first four are for training only.
    assert days == {
        1: {date(2026, 1, 9), date(2026, 1, 12)},
        2: {date(2026, 1, 13), date(2026, 1, 14)},
        3: {date(2026, 1, 15), date(2026, 1, 16)},
    }
    boards = [{row[2] for row in rows if row[0] == fold} for fold in (1, 2, 3)]
    assert [len(each) for each in boards] == [4, 4, 4]
    assert len(set.union(*boards)) == 12
    assert {row[3] for row in rows} == {"pass", "fail"}


def test_metrics_are_told_by_scope(spark: SparkSession, out: Path, drop: Drop) -> None:
    columns = ("metric", "scope_kind", "scope_value", "value", "lower", "upper", "n")
    rows = [
        (metric, str(Scope(kind, value)), *figures)
        for metric, kind, value, *figures in drops.rows(spark, out, "metrics", *columns)
    ]
    scopes: dict[str, set[str]] = {}
    for metric, scope, *_ in rows:
        scopes.setdefault(metric, set()).add(scope)
    folds = {"fold=1", "fold=2", "fold=3"}
    by_place = ("lot=", "position=", "history_days=")
    named = {scope for scope in scopes["roc_auc"] if not scope.startswith(by_place)}
    defects = {f"defect={kind}" for kind in drop.summary.defects}
    lines = {"line=L1", "line=L2"}
    assert {"overall", "folds_mean", *folds, *lines} <= named
    assert named - {"overall", "folds_mean", *folds, *lines} <= defects
    assert len(named & defects) > 1
    assert scopes["slip_rate"] >= {"overall", *folds, *lines, "forward=2", "forward=3"}
    assert scopes["review_reduction"] >= {"forward", "forward=2", "forward=3"}
    assert scopes["threshold"] == {"overall", "forward=2", "forward=3"}
    assert scopes["next_slips"] == {"forward=2", "forward=3"}
    assert scopes["baseline_roc_auc"] >= {"overall", "folds_mean", *folds}
    assert {"history_days=8", "history_days=4"} <= scopes["roc_auc"]
    assert any(scope.startswith("reliability=") for scope in scopes["fail_share"])
    assert scopes["escape_ppm_added"] <= scopes["slip_rate"]
    assert len({metric_scope[:2] for metric_scope in rows}) == len(rows)
    by_name = {row[:2]: row[2:] for row in rows}
    judged = len(drops.rows(spark, out, "out_of_fold", "image_id"))
    whole, last = (by_name["roc_auc", scope] for scope in ("history_days=8", "fold=3"))
    assert (whole[0], whole[3]) == (last[0], last[3])
    slipped = by_name["slip_rate", "overall"][0]
    assert by_name["escape_ppm_added", "overall"][0] == pytest.approx(100 * slipped)
    value, lower, upper, n = by_name["roc_auc", "overall"]
    assert 0 <= lower <= value <= upper <= 1
    assert n == judged
    mean = sum(by_name["roc_auc", fold][0] for fold in folds) / 3
    assert by_name["roc_auc", "folds_mean"][0] == pytest.approx(mean, abs=1e-12)
    assert sum(by_name["roc_auc", fold][3] for fold in folds) == judged


def test_suspected_verdicts_are_those_that_scores_contradict(
    spark: SparkSession, out: Path
) -> None:
    columns = ("image_id", "verdict", "probability", "reason", "rank")
    found = drops.rows(spark, out, "suspects", *columns)
    judged = drops.rows(spark, out, "out_of_fold", "image_id", "verdict", "probability")
    doubtful = {row[0] for row in judged if abs((row[1] == "fail") - row[2]) > 0.5}
    by_score = [row for row in found if row[3] == "score_contradicts"]
    assert {row[0] for row in by_score} == doubtful
    assert sorted(row[4] for row in by_score) == list(range(1, len(doubtful) + 1))


def test_manifest_tells_where_the_model_comes_from(out: Path, drop: Drop) -> None:
    manifest = bundle.read(out / "bundle").manifest
    assert (manifest.levels, manifest.pooling, manifest.difference) == (
        ["pixels", "layer1"],
        ["max"],
        True,
    )
    assert manifest.image_levels == ["layer1"]
    assert manifest.feature_count == 36 + 512 + 512
    assert not manifest.trained_backbone
    assert manifest.backbone["source"] == "untrained"
    assert manifest.training_window["from"] == "2026-01-05"
    assert manifest.training_window["until"] == "2026-01-16"
    assert manifest.training_window["images"] == 199 - drop.summary.unverified
    assert manifest.training_window["boards"] == 20
    assert manifest.lineage["run_id"] == drops.RUN_ID
    assert manifest.lineage["config"]["seed"] == 11
    trees = manifest.lineage["classifier"]
    assert (trees["num_iterations"], trees["learning_rate"], trees["num_leaves"]) == (30, 0.1, 31)
    assert trees["num_tasks"] > 0
    assert manifest.model_version.startswith("2026-01-16-")
    assert manifest.metrics["folds_mean roc_auc"] is not None


def test_nothing_half_written_is_left(out: Path) -> None:
    folders = {path.name for path in out.iterdir()}
    assert list((out / ".leases").iterdir()) == []
    assert folders - {".leases"} == {
        "bundle", "feature_set", "features", "files", "images", "metrics",
        "out_of_fold", "rejects", "reviews", "runs", "scores", "suspects", "verdicts",
    }  # fmt: skip


def test_days_can_be_scored_again_by_themselves(spark: SparkSession, copy: Job) -> None:
    scoring = {"since": date(2026, 1, 14), "until": date(2026, 1, 15)}
    chosen = copy.config.scoring.model_copy(update=scoring)
    job = dataclasses.replace(copy, config=copy.config.model_copy(update={"scoring": chosen}))
    counts = run_score(job)
    assert (counts.rows_in, counts.rows_out, counts.rows_rejected) == (40, 40, 0)
    out = Path(job.config.paths.out)
    rows = drops.rows(spark, out, "scores", "image_id", "run_id", "capture_date")
    assert len(rows) == len({row[0] for row in rows}) == 200
    assert {row[2] for row in rows if row[1] == job.run_id} == {
        date(2026, 1, 14), date(2026, 1, 15),
    }  # fmt: skip


def with_pretrained_weights(job: Job) -> Job:
    backbone = job.config.backbone.model_copy(update={"weights": "resnet50-v1-12"})
    return dataclasses.replace(job, config=job.config.model_copy(update={"backbone": backbone}))


def test_what_was_made_untrained_is_refused_where_other_weights_are_named(copy: Job) -> None:
    for stage, made in ((run_train, "the feature set"), (run_score, "the model bundle")):
        with pytest.raises(BackboneError, match=f"{made} was made with an untrained network"):
            stage(with_pretrained_weights(copy))


@pytest.mark.parametrize("name", ["graph.onnx", "features.onnx", "classifier.txt"])
def test_bundle_that_was_changed_is_refused(copy: Job, name: str) -> None:
    path = Path(copy.config.paths.out) / "bundle" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        run_score(copy)


def test_bundle_that_lacks_a_part_is_refused(copy: Job) -> None:
    (Path(copy.config.paths.out) / "bundle" / "features.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks features\.onnx"):
        run_score(copy)


def test_scoring_without_a_bundle_names_it(copy: Job) -> None:
    shutil.rmtree(Path(copy.config.paths.out) / "bundle")
    with pytest.raises(BundleError, match="no model bundle in") as caught:
        run_score(copy)
    assert str(copy.config.paths.out) in str(caught.value)


def test_training_again_replaces_the_bundle(copy: Job) -> None:
    found: dict[str, Any] = {"num_iterations": 5}
    settings = copy.config.classifier.model_copy(update=found)
    config = copy.config.model_copy(update={"classifier": settings})
    before = bundle.read(Path(copy.config.paths.out) / "bundle").manifest
    run_train(dataclasses.replace(copy, config=config))
    after = bundle.read(Path(copy.config.paths.out) / "bundle").manifest
    assert after.model_sha256 != before.model_sha256
    assert after.lineage["run_id"] == copy.run_id


@pytest.mark.parametrize(("allowed_loss", "chosen"), [(1.0, "int8"), (-1.0, "fp32")])
def test_auto_serves_int8_only_where_it_is_as_good(
    spark: SparkSession,
    copy: Job,
    monkeypatch: pytest.MonkeyPatch,
    allowed_loss: float,
    chosen: str,
) -> None:
    monkeypatch.setattr(precision, "MAX_AUC_LOSS", allowed_loss)
    settings = {
        "backbone": copy.config.backbone.model_copy(update={"precision": "auto"}),
        # a threshold for each line, from a handful of defects, decides by chance what is cleared
        "policy": copy.config.policy.model_copy(update={"segments": "none"}),
    }
    job = dataclasses.replace(copy, config=copy.config.model_copy(update=settings))
    before = {row.feature_set for row in spark.read.parquet(job.table("features")).collect()}
    run_train(job)
    made = {row.feature_set for row in spark.read.parquet(job.table("features")).collect()}
    assert (made == before) is (chosen == "int8")
    manifest = read_bundle(job).manifest
    assert manifest.precision == chosen
    assert {manifest.feature_set} == made
    assert manifest.precision_comparison["images"] > 50
    told = spark.read.parquet(job.table("metrics")).where(f"run_id = '{job.run_id}'")
    precisions = {row.scope_value for row in told.where("scope_kind = 'precision'").collect()}
    assert precisions == {"fp32", "int8"}
    run_score(job)
    scores = spark.read.parquet(job.table("scores")).where(f"run_id = '{job.run_id}'")
    assert scores.where("probability IS NOT NULL").count() > IMAGES - 5
