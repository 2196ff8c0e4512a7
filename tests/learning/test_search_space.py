from __future__ import annotations

import optuna
import pytest

from pcb_spark.core.pairs import Reading
from pcb_spark.learning import search_space
from pcb_spark.learning.settings import ClassifierConfig, TreeSettings
from pcb_spark.network import graphs

WIDEST = [
    graphs.FeatureSpec(
        levels=("layer1", "layer2"),
        pooling=("mean", "max"),
        reading=Reading(difference=True, max_offset=0.08),
    ),
    graphs.FeatureSpec(
        levels=("layer2", "avgpool"), pooling=("mean", "max"), reading=Reading(difference=False)
    ),
]


@pytest.mark.parametrize(
    ("spec", "classifier"),
    [
        (
            graphs.FeatureSpec(
                levels=("layer2",), pooling=("max",),
                reading=Reading(difference=True, max_offset=0.08),
            ),
            ClassifierConfig(lambda_l2=2.0, scale_pos_weight=3.0, keep_features=100),
        ),
        (
            graphs.FeatureSpec(
                levels=("layer2", "avgpool"), pooling=("mean", "max"),
                reading=Reading(difference=False),
            ),
            ClassifierConfig(num_iterations=150, learning_rate=0.03, num_leaves=8, lambda_l2=1.0,
                             is_unbalance=True),
        ),
        (  # beyond what is drawn else
            graphs.FeatureSpec(
                levels=("layer2",), pooling=("mean",), reading=Reading(difference=False)
            ),
            ClassifierConfig(num_iterations=20, learning_rate=0.5, num_leaves=2, lambda_l2=0.001,
                             min_data_in_leaf=3, feature_fraction=1.0, keep_features=5,
                             scale_pos_weight=9.0),
        ),
    ],
)  # fmt: skip
def test_what_a_setting_would_have_drawn_comes_to_that_setting(
    spec: graphs.FeatureSpec, classifier: ClassifierConfig
) -> None:
    settings = classifier.for_reference_mode(difference=spec.difference)
    trial = optuna.trial.FixedTrial(search_space.drawn(spec, settings))

    assert search_space.suggest_features(trial, WIDEST) == spec
    assert search_space.suggest_classifier(trial, settings) == settings


def test_a_trial_without_a_level_is_given_up() -> None:
    nothing = {"reference": "none", "layer2": False, "avgpool": False, "pooling": "max"}
    with pytest.raises(optuna.TrialPruned, match="no level"):
        search_space.suggest_features(optuna.trial.FixedTrial(nothing), WIDEST)


def test_classes_are_weighted_one_way_at_most_and_a_seed_draws_the_same() -> None:
    base = ClassifierConfig().for_reference_mode(difference=True)

    def drawn() -> list[TreeSettings]:
        sampler = optuna.samplers.RandomSampler(seed=1)
        study = optuna.create_study(sampler=sampler)
        return [search_space.suggest_classifier(study.ask(), base) for _ in range(30)]

    found = drawn()

    assert found == drawn()
    assert {config.is_unbalance for config in found} == {True, False}
    assert sum(config.scale_pos_weight != 1.0 for config in found) > 3
    assert not [c for c in found if c.is_unbalance and c.scale_pos_weight != 1.0]
    kept = [config.keep_features for config in found]
    assert kept.count(0) > 5
    assert 16 <= min(k for k in kept if k) <= max(kept) <= 1024
