from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from pcb_spark.core import names
from pcb_spark.learning import examples, lightgbm_on_driver, lightgbm_on_spark, logistic_regression
from pcb_spark.learning.folds import Fold
from pcb_spark.learning.settings import ClassifierConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

SETTINGS = ClassifierConfig(
    num_iterations=20, min_data_in_leaf=5, feature_fraction=1.0, min_sum_hessian_in_leaf=0.1
).for_reference_mode(difference=True)


def table(n: int = 600, width: int = 6) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The first feature tells defects, the last one never changes."""
    rng = np.random.default_rng(1)
    is_fail = rng.random(n) < 0.3
    features = rng.gamma(2.0, size=(n, width)).astype(np.float32)
    features[:, 0] += 4 * is_fail
    features[:, -1] = 7
    return features, is_fail


def text_of(features: NDArray[np.float32], is_fail: NDArray[np.bool_]) -> str:
    fitted = lightgbm_on_driver.fit(features, is_fail, SETTINGS, seed=0, threads=1)
    return str(fitted.model_to_string())


def test_the_feature_that_tells_defects_weighs_most() -> None:
    features, is_fail = table()

    found = logistic_regression.fit(features, is_fail, SETTINGS, "")

    spread = np.sqrt(features.astype(float)).std(axis=0)
    heaviest = np.abs(found.weights * spread)
    assert heaviest.argmax() == 0
    assert heaviest[0] > 3 * np.sort(heaviest)[-2]
    assert found.weights[-1] == 0
    assert found.center == pytest.approx(np.sqrt(features.astype(float)).mean(axis=0), abs=1e-5)
    odds = found.log_odds(features)
    assert odds[is_fail].mean() > 0 > odds[~is_fail].mean()


def test_features_that_all_stay_the_same_leave_the_share_of_defects() -> None:
    is_fail = np.arange(10) < 3

    found = logistic_regression.fit(np.ones((10, 4), dtype=np.float32), is_fail, SETTINGS, "")

    assert found.log_odds(np.ones((1, 4), dtype=np.float32)) == pytest.approx([np.log(3.5 / 7.5)])


def test_it_sees_kept_features_alone() -> None:
    features, is_fail = table()
    kept = SETTINGS.model_copy(update={"keep_features": 1})

    found = logistic_regression.fit(features, is_fail, kept, text_of(features, is_fail))

    assert np.flatnonzero(found.weights).tolist() == [0]


@pytest.mark.parametrize(
    "heavier", [{"scale_pos_weight": 5.0}, {"is_unbalance": True}], ids=["scaled", "balanced"]
)
def test_classes_weigh_as_in_the_trees(heavier: dict[str, object]) -> None:
    features, is_fail = table()
    config = SETTINGS.model_copy(update=heavier)

    plain, weighed = (
        logistic_regression.fit(features, is_fail, each, "") for each in (SETTINGS, config)
    )

    assert weighed.log_odds(features).mean() > plain.log_odds(features).mean() + 0.5


def test_an_image_that_weighs_two_is_two_images() -> None:
    features, is_fail = table(200)
    twice = np.arange(200) % 2 == 0
    doubled = np.concatenate((np.arange(200), np.flatnonzero(twice)))

    weighed = logistic_regression.fit(
        features, is_fail, SETTINGS, "", weight=np.where(twice, 2.0, 1.0)
    )
    repeated = logistic_regression.fit(features[doubled], is_fail[doubled], SETTINGS, "")

    assert weighed.log_odds(features) == pytest.approx(repeated.log_odds(features), abs=0.1)


@pytest.mark.slow
def test_spark_and_driver_score_folds_by_the_same_line(spark: SparkSession) -> None:
    features, is_fail = table()
    days = [date(2026, 1, 1 + number // 100) for number in range(600)]
    rows = pd.DataFrame({
        names.IMAGE_ID: [f"i{number:03d}" for number in range(600)],
        examples.LABEL: is_fail.astype(int),
        examples.GROUP_DATE: days,
        names.FEATURES: features.tolist(),
    })  # fmt: skip
    schema = "image_id string, label int, group_date date, features array<float>"
    folds = [
        Fold(index=1, train_before=date(2026, 1, 4), test_from=date(2026, 1, 4),
             test_until=date(2026, 1, 6))
    ]  # fmt: skip

    in_spark = spark.createDataFrame(rows, schema)
    judged = lightgbm_on_spark.out_of_fold(in_spark, folds, SETTINGS, seed=0)
    by_spark = judged.orderBy(names.IMAGE_ID).collect()
    by_driver = lightgbm_on_driver.out_of_fold(rows, folds, SETTINGS, seed=0, threads=1)

    assert [row.image_id for row in by_spark] == by_driver[names.IMAGE_ID].tolist()
    # Trees bin a little differently in either; the line is the same.
    apart = np.abs(np.array([row.probability for row in by_spark]) - by_driver[names.PROBABILITY])
    assert np.median(apart) < 0.02
    assert apart.max() < 0.25


@pytest.mark.slow
def test_of_many_images_all_are_drawn_of_the_rarer_kind(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logistic_regression, "MOST_IMAGES", 100)
    rows = spark.createDataFrame(
        [(f"i{number}", [float(number)], int(number % 50 == 0)) for number in range(1_000)],
        "image_id string, features array<float>, label int",
    )

    drawn = logistic_regression.sample(rows, seed=1)

    assert drawn[examples.LABEL].sum() == 20
    good = drawn[drawn[examples.LABEL] == 0]
    # 80 of 980, give or take four standard deviations of 9.
    assert 44 < len(good) < 116
    assert good[names.WEIGHT].unique() == pytest.approx([980 / 80])
    assert drawn.loc[drawn[examples.LABEL] == 1, names.WEIGHT].unique() == pytest.approx([1.0])


def test_a_sample_of_one_class_still_has_finite_odds() -> None:
    features, _ = table(50)

    found = logistic_regression.fit(features, np.zeros(50, dtype=bool), SETTINGS, "")

    assert found.log_odds(features[:1]) == pytest.approx([np.log(0.5 / 50.5)])


def test_a_feature_far_beyond_all_that_were_seen_decides_nothing() -> None:
    """One good image has a trace of a feature that no other has."""
    features, is_fail = table()
    features[:, -1] = 0
    features[np.flatnonzero(~is_fail)[0], -1] = 0.001

    found = logistic_regression.fit(features, is_fail, SETTINGS, "")

    defect = features[np.flatnonzero(is_fail)[:1]].copy()
    before = found.log_odds(defect)
    defect[0, -1] = 5.0
    assert found.log_odds(defect) == pytest.approx(before, abs=0.5)
