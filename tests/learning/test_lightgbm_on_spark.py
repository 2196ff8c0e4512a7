from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from pyspark.sql import functions as F

from pcb_spark.core import batches, names
from pcb_spark.core.errors import TrainingError
from pcb_spark.learning import examples, lightgbm_on_spark
from pcb_spark.learning.folds import Fold
from pcb_spark.learning.lightgbm_on_spark import Fitted
from pcb_spark.learning.settings import ClassifierConfig, TreeSettings
from pcb_spark.network import graphs, trees
from tests.rows import images_table, noise
from tests.trunks import run_graph

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SMALL = ClassifierConfig(
    num_iterations=20, min_data_in_leaf=5, feature_fraction=0.5, num_tasks=2, linear=False
).for_reference_mode(difference=True)
ROWS = "image_id string, features array<float>, label int"


def day(number: int) -> date:
    return date(2026, 1, number)


def learnable(spark: SparkSession, count: int = 400, width: int = 16) -> DataFrame:
    """Rows whose first two features tell the label, most of the time."""
    random = np.random.default_rng(11)
    features = np.maximum(random.normal(size=(count, width)), 0).astype(np.float32)
    label = features[:, 0] + features[:, 1] + random.normal(0, 0.2, count) > 0.9
    rows = [
        (f"i{number:04d}", row, int(fail))
        for number, (row, fail) in enumerate(zip(features.tolist(), label.tolist(), strict=True))
    ]
    return spark.createDataFrame(rows, ROWS)


def text_of(model: Any) -> str:
    return str(model.getNativeModel())


@pytest.mark.slow
def test_text_of_the_model_predicts_in_lightgbm_what_spark_predicts(spark: SparkSession) -> None:
    rows = learnable(spark).persist()
    model = lightgbm_on_spark.fit(rows, SMALL, seed=1)
    scored = lightgbm_on_spark.predict(Fitted(model, None), rows).orderBy(names.IMAGE_ID).collect()
    assert sorted(scored[0].asDict()) == ["features", "image_id", "label", "probability"]
    booster = lightgbm.Booster(model_str=text_of(model))
    native = booster.predict(np.array([row.features for row in scored], dtype=np.float32))
    found = np.array([row.probability for row in scored])
    assert np.abs(found - native).max() < 1e-12
    right = (found > 0.5) == np.array([row.label for row in scored])
    assert right.mean() > 0.9
    rows.unpersist()


@pytest.mark.slow
def test_model_follows_from_rows_and_seed_whatever_their_order(spark: SparkSession) -> None:
    rows = learnable(spark).persist()
    once = text_of(lightgbm_on_spark.fit(rows, SMALL, seed=1))
    assert text_of(lightgbm_on_spark.fit(rows, SMALL, seed=1)) == once
    shuffled = rows.orderBy(F.desc(names.IMAGE_ID)).repartition(5)
    assert text_of(lightgbm_on_spark.fit(shuffled, SMALL, seed=1)) == once
    assert text_of(lightgbm_on_spark.fit(rows, SMALL, seed=2)) != once
    rows.unpersist()


def used_features(text: str) -> list[int]:
    splits = lightgbm.Booster(model_str=text).feature_importance("split")
    return [int(number) for number in np.flatnonzero(splits)]


@pytest.mark.slow
def test_trees_of_the_kept_features_read_them_at_their_places(spark: SparkSession) -> None:
    rows = learnable(spark).persist()
    assert len(used_features(text_of(lightgbm_on_spark.fit(rows, SMALL, seed=1)))) > 2
    config = SMALL.model_copy(update={"keep_features": 2, "feature_fraction": 1.0})

    model = lightgbm_on_spark.fit(rows, config, seed=1)

    # The label is made of the first two of 16 features.
    assert used_features(text_of(model)) == [0, 1]
    scored = lightgbm_on_spark.predict(Fitted(model, None), rows).orderBy(names.IMAGE_ID).collect()
    whole = np.array([row.features for row in scored], dtype=np.float32)
    found = np.array([row.probability for row in scored])
    assert found == pytest.approx(lightgbm.Booster(model_str=text_of(model)).predict(whole))
    graph = graphs.classifier_graph(trees.convert(text_of(model), 16), 16)
    served = run_graph(graph, batches.PROBABILITY, {batches.FEATURES: whole[None]})
    assert served[0] == pytest.approx(found, abs=1e-6)
    rows.unpersist()


@pytest.mark.slow
def test_features_are_kept_by_the_training_window_alone(spark: SparkSession) -> None:
    # Before day 3 feature 1 tells the label, from then on feature 2 does.
    random = np.random.default_rng(5)
    rows = []
    for number in range(400):
        fail, late = number % 2, number >= 200
        row = random.normal(0, 0.3, 4)
        row[2 if late else 1] += fail
        rows.append((f"i{number:03d}", f"b{number}", day(3 if late else 1), row.tolist(), fail))
    table = spark.createDataFrame(
        rows,
        "image_id string, board_id string, capture_date date, features array<float>, label int",
    )
    dated_rows = examples.with_group_date(table, "board_id")
    config = SMALL.model_copy(update={"keep_features": 1, "feature_fraction": 1.0})

    judged = lightgbm_on_spark.out_of_fold(dated_rows, [fold(1, 3, 3, 4)], config, seed=7).collect()

    by_verdict = [
        np.mean([row.probability for row in judged if int(row.image_id[1:]) % 2 == fail])
        for fail in (0, 1)
    ]
    # Feature 1 says nothing of the test window; had that been seen, feature 2 would tell it.
    assert abs(by_verdict[1] - by_verdict[0]) < 0.1


@pytest.mark.slow
def test_a_heavier_class_is_more_probable(spark: SparkSession) -> None:
    rows = learnable(spark).persist()
    means = []
    for weight in (1.0, 4.0):
        config = SMALL.model_copy(update={"scale_pos_weight": weight})
        fitted = lightgbm_on_spark.fit_whole(rows, config, seed=1)
        scored = lightgbm_on_spark.predict(fitted, rows).collect()
        means.append(np.mean([row.probability for row in scored]))
    assert means[1] > means[0] + 0.02
    rows.unpersist()


@pytest.mark.parametrize(
    ("labels", "what", "got"),
    [
        ([0, 0, 0], "hold one class only", "0 fail among 3"),
        ([1, 1], "hold one class only", "2 fail among 2"),
        ([], "are empty", "0 fail among 0"),
    ],
)
def test_one_class_or_none_is_refused_before_lightgbm_hangs(
    spark: SparkSession, labels: Sequence[int], what: str, got: str
) -> None:
    rows = spark.createDataFrame(
        [(f"i{number}", [0.5], label) for number, label in enumerate(labels)], ROWS
    )
    with pytest.raises(TrainingError, match=f"(?s){what}.*{got}"):
        lightgbm_on_spark.fit(rows, SMALL, seed=1)


def test_more_tasks_than_run_at_once_and_than_rows_still_fit(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", [0.0], 0), ("b", [1.0], 1), ("c", [1.0], 1)], ROWS)
    config = SMALL.model_copy(update={"num_iterations": 2, "num_tasks": 8})
    model = lightgbm_on_spark.fit(rows, config, seed=1)
    probabilities = [
        row.probability for row in lightgbm_on_spark.predict(Fitted(model, None), rows).collect()
    ]
    # Too few rows for a split: every image gets the base rate.
    assert probabilities == pytest.approx([2 / 3] * 3, abs=0.01)


def test_training_rows_have_features_and_a_verdict(spark: SparkSession) -> None:
    images = images_table(spark, [(noise(seed), None) for seed in range(5)])
    features = spark.createDataFrame(
        [("i000", [0.0]), ("i001", [1.0]), ("i002", [2.0]), ("i003", [3.0]), ("gone", [9.0])],
        "image_id string, features array<float>",
    )
    verdicts = spark.createDataFrame(
        [
            ("i000", "pass", None),
            ("i001", "fail", "open|short"),
            ("i002", None, None),  # not yet verified: never pass
            ("i004", "fail", "short"),  # no features
        ],
        "image_id string, verdict string, defects string",
    )
    rows = examples.training_rows(features, images, verdicts).orderBy(names.IMAGE_ID).collect()
    assert [(r.image_id, r.label, r.defects, r.features, r.board_id, r.line) for r in rows] == [
        ("i000", 0, None, [0.0], "b0", "L1"),
        ("i001", 1, "open|short", [1.0], "b0", "L1"),
    ]
    assert rows[1].capture_date == date(2026, 1, 5)


def dated(
    spark: SparkSession, rows: Sequence[tuple[str, str | None, str | None, int]]
) -> DataFrame:
    """Rows of (image id, board, lot, day) with a label that alternates."""
    full = [
        (image, board, lot, day(number), [float(place)], place % 2)
        for place, (image, board, lot, number) in enumerate(rows)
    ]
    return spark.createDataFrame(
        full,
        "image_id string, board_id string, lot string, capture_date date, "
        "features array<float>, label int",
    )


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        # Board b runs from day 2 to day 4; c has one day.
        ("board_id", {"i0": 2, "i1": 4, "i2": 4, "i3": 5, "i4": 3}),
        # Lot x runs from day 2 to day 5; an image without a lot is a group of its own.
        ("lot", {"i0": 5, "i1": 5, "i2": 5, "i3": 5, "i4": 3}),
    ],
)
def test_group_is_dated_by_its_last_image(
    spark: SparkSession, group: str, expected: dict[str, int]
) -> None:
    rows = dated(
        spark,
        [
            ("i0", "a", "x", 2),
            ("i1", "b", "x", 2),
            ("i2", "b", "x", 4),
            ("i3", "c", "x", 5),
            ("i4", "d", None, 3),
        ],
    )
    found = examples.with_group_date(rows, group).collect()
    assert {row.image_id: row.group_date.day for row in found} == expected


class Spy:
    """Stands for ``fit`` and ``predict``: keeps what each fold trained on and was tested on."""

    def __init__(self) -> None:
        self.trained: list[list[str]] = []
        self.tested: list[list[str]] = []

    def fit(self, rows: DataFrame, config: TreeSettings, *, seed: int) -> int:
        assert config == SMALL
        assert seed == 7
        self.trained.append(_ids(rows))
        return len(self.trained)

    def predict(self, fitted: Fitted, rows: DataFrame) -> DataFrame:
        assert fitted.linear is None
        self.tested.append(_ids(rows))
        return rows.withColumn(names.PROBABILITY, F.lit(fitted.trees / 10))


def _ids(rows: DataFrame) -> list[str]:
    return sorted(row.image_id for row in rows.collect())


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    watching = Spy()
    monkeypatch.setattr(lightgbm_on_spark, "fit", watching.fit)
    monkeypatch.setattr(lightgbm_on_spark, "predict", watching.predict)
    return watching


def fold(index: int, before: int, first: int, last: int) -> Fold:
    return Fold(index=index, train_before=day(before), test_from=day(first), test_until=day(last))


def test_folds_train_on_whole_boards_from_before_their_test_window(
    spark: SparkSession, spy: Spy
) -> None:
    rows = dated(
        spark,
        [
            ("a1", "a", None, 1),
            ("a2", "a", None, 1),
            ("b1", "b", None, 2),
            ("b2", "b", None, 3),  # board b ends on the first test day, so fold 1 tests both
            ("c1", "c", None, 3),
            ("d1", "d", None, 4),
            ("d2", "d", None, 5),  # board d ends on the first day of the second window
            ("e1", "e", None, 5),
            ("f1", "f", None, 9),  # after all windows
        ],
    )
    folds = [fold(1, 3, 3, 4), fold(2, 5, 5, 6)]
    rows = examples.with_group_date(rows, "board_id")
    judged = lightgbm_on_spark.out_of_fold(rows, folds, SMALL, seed=7)
    assert spy.trained == [["a1", "a2"], ["a1", "a2", "b1", "b2", "c1"]]
    assert spy.tested == [["b1", "b2", "c1"], ["d1", "d2", "e1"]]
    assert sorted(judged.columns) == [
        "board_id", "capture_date", "fold", "image_id", "lot", "probability",
    ]  # fmt: skip
    assert sorted((row.image_id, row.fold, row.probability) for row in judged.collect()) == [
        ("b1", 1, 0.1), ("b2", 1, 0.1), ("c1", 1, 0.1),
        ("d1", 2, 0.2), ("d2", 2, 0.2), ("e1", 2, 0.2),
    ]  # fmt: skip


def test_gap_leaves_days_out_of_both_windows(spark: SparkSession, spy: Spy) -> None:
    rows = dated(spark, [(f"i{number}", f"b{number}", None, number) for number in range(1, 8)])
    rows = examples.with_group_date(rows, "board_id")
    lightgbm_on_spark.out_of_fold(rows, [fold(1, 3, 5, 6)], SMALL, seed=7)
    assert spy.trained == [["i1", "i2"]]
    assert spy.tested == [["i5", "i6"]]


def test_fold_that_would_train_on_one_class_is_named(spark: SparkSession, spy: Spy) -> None:
    rows = dated(spark, [(f"i{number}", f"b{number}", None, number) for number in range(1, 5)])
    rows = examples.with_group_date(rows, "board_id")
    with pytest.raises(TrainingError, match=r"fold 1 \(before 2026-01-02\).*one class"):
        lightgbm_on_spark.out_of_fold(rows, [fold(1, 2, 2, 4)], SMALL, seed=7)
    assert spy.trained == []
