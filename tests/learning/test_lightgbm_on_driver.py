from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from pcb_spark.core import names
from pcb_spark.core.errors import TrainingError
from pcb_spark.learning import examples, lightgbm_on_driver, lightgbm_on_spark
from pcb_spark.learning.folds import Fold
from pcb_spark.learning.settings import ClassifierConfig, TreeSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

TREES = ClassifierConfig(
    num_iterations=20, min_data_in_leaf=5, feature_fraction=1.0, linear=False
).for_reference_mode(difference=True)


def day(number: int) -> date:
    return date(2026, 1, number)


def fold(index: int, before: int, first: int, last: int) -> Fold:
    return Fold(index=index, train_before=day(before), test_from=day(first), test_until=day(last))


def rows_of(days: int, each: int = 30, telling_until: int = 31) -> pd.DataFrame:
    """``each`` images a day, every third a defect, which the first feature tells for some days."""
    count = days * each
    fails = np.arange(count) % 3 == 0
    numbers = np.arange(count) // each + 1
    features = np.random.default_rng(5).random((count, 8), dtype=np.float32)
    features[:, 0] += 2 * (fails & (numbers <= telling_until))
    return pd.DataFrame({
        names.IMAGE_ID: [f"i{row:04d}" for row in range(count)],
        examples.LABEL: fails.astype(int),
        examples.GROUP_DATE: [day(number) for number in numbers],
        names.FEATURES: features.tolist(),
    })  # fmt: skip


def judge(rows: pd.DataFrame, *folds: Fold) -> pd.DataFrame:
    return lightgbm_on_driver.out_of_fold(rows, folds, TREES, seed=1, threads=1)


def test_each_test_window_has_its_rows_in_order_and_no_features() -> None:
    judged = judge(rows_of(6), fold(1, 3, 3, 4), fold(2, 5, 6, 6))

    assert sorted(judged.columns) == ["fold", "group_date", "image_id", "label", "probability"]
    expected = [f"i{row:04d}" for row in [*range(60, 120), *range(150, 180)]]
    assert judged[names.IMAGE_ID].tolist() == expected
    assert judged[names.FOLD].tolist() == [1] * 60 + [2] * 30


def test_a_fold_knows_only_what_came_before_it() -> None:
    # From day 5 on nothing tells defects. Trained on days 1 to 4, the trees go on believing the
    # first feature, which is below 1 for every image by then.
    judged = judge(rows_of(6, telling_until=4), fold(1, 4, 4, 4), fold(2, 5, 5, 6))

    early, late = judged[judged[names.FOLD] == 1], judged[judged[names.FOLD] == 2]
    assert (early[names.PROBABILITY] > 0.5).tolist() == (early[examples.LABEL] == 1).tolist()
    assert late[names.PROBABILITY].max() < 0.5


def test_the_same_rows_and_seed_give_the_same_scores() -> None:
    rows, window = rows_of(4), fold(1, 3, 3, 4)

    assert judge(rows, window)[names.PROBABILITY].tolist() == (
        judge(rows, window)[names.PROBABILITY].tolist()
    )


def test_features_of_the_image_itself_are_judged_apart_and_count_a_quarter() -> None:
    rows = rows_of(4)
    values = np.stack(rows[names.FEATURES].to_list()).astype(np.float32)
    fails = rows[examples.LABEL].to_numpy(dtype=bool)
    windows = [(np.arange(60), np.arange(60, 120))]
    config = ClassifierConfig(num_iterations=20, min_data_in_leaf=5, feature_fraction=1.0)

    def odds(columns: slice, settings: TreeSettings) -> NDArray[np.float64]:
        (found,) = lightgbm_on_driver.predict_forward(
            values[:, columns], fails, windows, settings, seed=1, threads=1
        )
        return np.log(found / (1 - found))

    both = odds(slice(None), config.for_reference_mode(difference=True, image_width=3))

    compared = odds(slice(0, 5), config.for_reference_mode(difference=True))
    own = odds(slice(5, None), config.for_reference_mode(difference=False))
    assert both == pytest.approx(0.75 * compared + 0.25 * own)


def test_training_window_of_one_class_is_named() -> None:
    rows = rows_of(4)
    rows.loc[rows[examples.GROUP_DATE] < day(2), examples.LABEL] = 0

    with pytest.raises(TrainingError, match=r"fold 1 \(before 2026-01-02\).*one class") as caught:
        judge(rows, fold(1, 2, 2, 4))
    assert caught.value.got == "0 fail among 30 images with verdict and features"


BESIDE = ClassifierConfig(
    num_iterations=20, min_data_in_leaf=5, feature_fraction=1.0
).for_reference_mode(difference=True, image_width=3)


@pytest.mark.slow
@pytest.mark.parametrize("trees", [TREES, BESIDE], ids=["alone", "beside the image itself"])
def test_boosters_rank_as_the_classifier_on_spark_does(
    spark: SparkSession, trees: TreeSettings
) -> None:
    rows, window = rows_of(6), fold(1, 5, 5, 6)
    schema = "image_id string, label int, group_date date, features array<float>"
    table = spark.createDataFrame(rows.to_dict("records"), schema)

    on_spark: pd.DataFrame = lightgbm_on_spark.out_of_fold(
        table, [window], trees, seed=1
    ).toPandas()
    alone = lightgbm_on_driver.out_of_fold(rows, [window], trees, seed=1, threads=1)

    both = on_spark.merge(alone, on=names.IMAGE_ID, suffixes=("_spark", "_alone"))
    assert len(both) == 60
    assert np.abs(both["probability_spark"] - both["probability_alone"]).max() < 0.01
