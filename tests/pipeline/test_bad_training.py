"""Tables that can't be trained on: one clear error with its exit code."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pcb_spark import cli
from pcb_spark.core import bundle
from pcb_spark.lake import schemas, tables
from tests import drops
from tests.pipeline.commands import DAY, HEADER, command, error

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# In this session; cli.main leaves it running.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]

#: Quick, and with trees from the first row on.
TRAIN = (
    "folds.n=2", "folds.first_fraction=0.4", "classifier.num_iterations=3",
    "classifier.min_data_in_leaf=1", "classifier.feature_fraction=1.0",
    "policy.bootstrap_resamples=0", "backbone.precision=int8",
)  # fmt: skip
#: How many numbers the means and the largest values of layer1's maps are.
WIDTH = 512

Run = tuple[int, str, Path]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What the whole job makes of one image: exit code, log and tables."""
    folder = tmp_path_factory.mktemp("single")
    drop = drops.write(
        folder / "drop",
        {
            f"{DAY}/b1_P1.png": drops.picture(),
            "verdicts.csv": HEADER + f"{DAY}/b1_P1.png,,,pass,\n",
        },
    )
    out = folder / "out"
    with contextlib.redirect_stderr(io.StringIO()) as log:
        code = cli.main(command("run", out, "features.levels=['layer1']", drop=drop))
    return code, log.getvalue(), out


def test_one_image_only(spark: SparkSession, single: Run) -> None:
    code, log, out = single
    assert code == 6
    message = error(log)
    assert message.startswith("TrainingError: the images with features and verdict hold one class")
    assert "got: 0 fail among 1 images" in message
    assert len(drops.rows(spark, out, "features", "image_id")) == 1


def write_judged(
    spark: SparkSession, feature_set: Path, out: Path, days: Sequence[str], *, seen: str = ""
) -> None:
    """Write what train reads: for each day one image a letter, (p)ass or (f)ail.

    ``seen`` is the hash of the file that features were made from; images have that of none.
    """
    shutil.copytree(feature_set, out / "feature_set")
    images, verdicts, features = [], [], []
    for day, letters in enumerate(days):
        moment = datetime(2026, 1, 5 + day, 6, tzinfo=UTC)
        for number, letter in enumerate(letters):
            name = f"d{day}n{number}"
            traceability: tuple[Any, ...] = (name, name, "L1", None, name, "P1", None, moment)
            images.append((*traceability, b"", None, None, None, 1, 1, "", moment.date()))
            verdicts.append((name, {"p": "pass", "f": "fail"}[letter], None, None, None, False))
            numbers = [float(letter == "f"), float(number), *[0.0] * (WIDTH - 2)]
            features.append((name, numbers, "set", seen, None, moment.date()))
    for table, rows, schema in (
        ("images", images, schemas.IMAGES),
        ("verdicts", verdicts, schemas.VERDICTS),
        ("features", features, schemas.FEATURES_TABLE),
    ):
        tables.replace(spark.createDataFrame(rows, schema), str(out / table), schema)


def test_one_class_only_in_a_training_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["ppp", "ppp", "pfp", "pfp", "pfp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 6
    message = error(capsys.readouterr().err)
    assert message.startswith(
        "TrainingError: the training window of fold 1 (before 2026-01-07) hold one class only\n"
    )
    assert "got: 0 fail among 6 images" in message
    assert not (tmp_path / "bundle").exists()


def test_features_of_files_that_came_again(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_judged(spark, single[2] / "feature_set", tmp_path, ["pf", "pf"], seen="0" * 64)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 4
    message = error(capsys.readouterr().err)
    assert message.startswith(
        "InputError: none of the 4 features is of what the images table holds by now\n"
    )
    assert "next: run the featurize job again" in message


def test_one_class_only_in_a_test_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["pfpfpfpf", "pfpfpfpf", "pfpfpfpf", "pfpfpfpf", "pppp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 0
    captured = capsys.readouterr()
    assert " ERROR " not in captured.err
    columns = ("metric", "scope_kind", "scope_value", "value", "n")
    found = drops.rows(spark, tmp_path, "metrics", *columns)
    assert [row[1:] for row in found if row[0] == "roc_auc" and row[1].startswith("fold")] == [
        ("fold", "1", 1.0, 16), ("fold", "2", None, 4), ("folds_mean", None, 1.0, 16),
    ]  # fmt: skip
    assert "AUC fold=2: undefined, one class only, n = 4" in captured.out
    # single images: what the trees were fitted with is what measured best without references
    model = bundle.read(tmp_path / "bundle")
    trees = model.manifest.lineage["classifier"]
    assert (trees["num_iterations"], trees["learning_rate"], trees["num_leaves"]) == (3, 0.05, 15)
    assert b"shrinkage=0.05" in model.parts[bundle.CLASSIFIER]


def test_one_class_only_in_every_test_window(
    spark: SparkSession, single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["pfpfpfpf", "pfpfpfpf", "pppp", "pppp", "pppp"]
    write_judged(spark, single[2] / "feature_set", tmp_path, days)
    assert cli.main(command("train", tmp_path, *TRAIN)) == 6
    message = error(capsys.readouterr().err)
    assert message.startswith("TrainingError: no test window holds both verdicts")
    assert not (tmp_path / "bundle").exists()
