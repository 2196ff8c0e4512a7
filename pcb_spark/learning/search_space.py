"""What the model search draws from, as an Optuna trial asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pcb_spark.learning.settings import TreeSettings
from pcb_spark.network import graphs

if TYPE_CHECKING:
    import optuna

_POOLINGS = {"max": ("max",), "mean": ("mean",), "both": ("mean", "max")}
#: Stands for none, which a logarithmic range can't hold.
_LEAST_L2 = 0.01
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
    if not set(levels) - {graphs.PIXELS}:
        what = "no level of the network drawn"
        raise optuna.TrialPruned(what)
    chosen = _POOLINGS[trial.suggest_categorical("pooling", sorted(_POOLINGS))]
    return replace(spec, levels=levels, pooling=chosen)


def suggest_classifier(trial: optuna.trial.BaseTrial, base: TreeSettings) -> TreeSettings:
    """Draw LightGBM's parameters, how classes are weighted, and how many features are kept.

    Ranges reach as far as ``base``, so that what is configured can be drawn.
    """
    whole, real = partial(_whole, trial, base), partial(_real, trial, base)
    drawn: dict[str, Any] = {
        "num_iterations": whole("num_iterations", 100, 800),
        "learning_rate": real("learning_rate", 0.02, 0.2),
        "num_leaves": whole("num_leaves", 4, 63),
        "min_data_in_leaf": whole("min_data_in_leaf", 5, 80),
        "feature_fraction": real("feature_fraction", 0.02, 0.5),
        "lambda_l2": real("lambda_l2", _LEAST_L2, 100),
    }
    weighting = trial.suggest_categorical("class_weighting", list(_WEIGHTINGS))
    drawn["is_unbalance"] = weighting == "is_unbalance"
    drawn["scale_pos_weight"] = (
        real("scale_pos_weight", 0.2, 5) if weighting == "scale_pos_weight" else 1.0
    )
    pruned = trial.suggest_categorical("pruned", [False, True])
    drawn["keep_features"] = whole("keep_features", 16, 1024) if pruned else 0
    return TreeSettings.model_validate({**base.model_dump(), **drawn})


def _whole(
    trial: optuna.trial.BaseTrial, base: TreeSettings, name: str, low: int, high: int
) -> int:
    own = getattr(base, name) or low
    return trial.suggest_int(name, min(low, own), max(high, own), log=True)


def _real(
    trial: optuna.trial.BaseTrial, base: TreeSettings, name: str, low: float, high: float
) -> float:
    own = getattr(base, name) or low
    return trial.suggest_float(name, min(low, own), max(high, own), log=True)


def drawn(spec: graphs.FeatureSpec, settings: TreeSettings) -> dict[str, Any]:
    """Say what would have to be drawn to come to a setting."""
    weighted = settings.scale_pos_weight != 1.0
    return {
        **settings.compared.model_dump(exclude={"num_tasks", "is_unbalance"}),
        "lambda_l2": settings.lambda_l2 or _LEAST_L2,
        "class_weighting": _WEIGHTINGS[2 if weighted else int(settings.is_unbalance)],
        "pruned": settings.keep_features > 0,
        "reference": _mode(spec),
        "pooling": next(k for k, v in _POOLINGS.items() if set(v) == set(spec.pooling)),
        **{level: level in spec.levels for level in (graphs.PIXELS, *graphs.WIDTHS)},
    }
