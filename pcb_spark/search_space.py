"""What the model search draws from, as an Optuna trial asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pcb_spark import graphs
from pcb_spark.sections import ClassifierConfig

if TYPE_CHECKING:
    import optuna

_POOLINGS = {"max": ("max",), "mean": ("mean",), "both": ("mean", "max")}
_WEIGHTINGS = ("none", "is_unbalance", "scale_pos_weight")


def _mode(spec: graphs.FeatureSpec) -> str:
    return "difference" if spec.difference else "none"


def suggest_features(
    trial: optuna.trial.BaseTrial, widest: Sequence[graphs.FeatureSpec]
) -> graphs.FeatureSpec:
    """Draw a reference mode, one or more of its levels, and one or both poolings.

    Parameters
    ----------
    widest : one a reference mode, with all of its levels and poolings.
    """
    import optuna

    modes = {_mode(spec): spec for spec in widest}
    spec = modes[trial.suggest_categorical("reference", sorted(modes))]
    levels = tuple(
        level for level in spec.levels if trial.suggest_categorical(level, [True, False])
    )
    if not levels:
        what = "no level drawn"
        raise optuna.TrialPruned(what)
    chosen = _POOLINGS[trial.suggest_categorical("pooling", sorted(_POOLINGS))]
    return replace(spec, levels=levels, pooling=chosen)


def suggest_classifier(trial: optuna.trial.BaseTrial, base: ClassifierConfig) -> ClassifierConfig:
    """Draw LightGBM's parameters, how classes are weighted, and how many features are kept."""
    drawn = {
        "num_iterations": trial.suggest_int("num_iterations", 100, 800, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 80, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.02, 0.5, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 100, log=True),
    }
    weighting = trial.suggest_categorical("class_weighting", list(_WEIGHTINGS))
    drawn["is_unbalance"] = weighting == "is_unbalance"
    drawn["scale_pos_weight"] = (
        trial.suggest_float("scale_pos_weight", 0.2, 5, log=True)
        if weighting == "scale_pos_weight"
        else 1.0
    )
    pruned = trial.suggest_categorical("pruned", [False, True])
    drawn["keep_features"] = trial.suggest_int("keep_features", 16, 1024, log=True) if pruned else 0
    return ClassifierConfig.model_validate({**base.model_dump(), **drawn})


def drawn(spec: graphs.FeatureSpec, classifier: ClassifierConfig) -> dict[str, Any]:
    """Say what would have to be drawn to come to a configured setting."""
    settled = classifier.settled(difference=spec.difference)
    weighted = settled.scale_pos_weight != 1.0
    return {
        **settled.model_dump(exclude={"num_tasks", "is_unbalance"}),
        "lambda_l2": max(settled.lambda_l2, 0.01),
        "class_weighting": _WEIGHTINGS[2 if weighted else int(settled.is_unbalance)],
        "pruned": settled.keep_features > 0,
        "reference": _mode(spec),
        "pooling": next(k for k, v in _POOLINGS.items() if set(v) == set(spec.pooling)),
        **{level: level in spec.levels for level in graphs.WIDTHS},
    }
