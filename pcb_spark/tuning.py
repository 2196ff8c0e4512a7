"""Model search on the driver: which features and which trees rank best, forward in time.

Features are computed once, for every level and pooling; a trial takes its columns and trains
LightGBM's own Python package on them, which is the same algorithm without Spark around it. Optuna
(Akiba et al., KDD 2019) proposes the trials.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pcb_spark import batches, graphs, metrics, policy, thresholds
from pcb_spark.images import SIDE
from pcb_spark.sections import ClassifierConfig

if TYPE_CHECKING:
    from pathlib import Path

    import onnx
    import optuna
    from numpy.typing import NDArray

    from pcb_spark.config import Config

    Rows = NDArray[np.intp]

_TIMED_IMAGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """The features of one reference mode.

    Attributes
    ----------
    spec : all levels and poolings that trials may take.
    values : (n, F) float32.
    """

    spec: graphs.FeatureSpec
    values: NDArray[np.float32]

    def columns(self, spec: graphs.FeatureSpec) -> NDArray[np.float32]:
        """Take the columns of a narrower ``spec``, (n, F') in its order."""
        found = graphs.column_slices(self.spec)
        parts = [self.values[:, found[key]] for key in graphs.column_slices(spec)]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Images with a verdict, the same ones in every feature table.

    Attributes
    ----------
    is_fail, board_id : (n,).
    folds : row numbers to train and to test on, in the order of time.
    tables : one for each reference mode.
    """

    is_fail: NDArray[np.bool_]
    board_id: NDArray[np.object_]
    folds: Sequence[tuple[Rows, Rows]]
    tables: Sequence[FeatureTable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A setting and what it came to; ``roc_auc`` is the mean over folds, in bounds by board.

    ``slip_rate`` and ``review_reduction`` are what the decision rule would have done forward in
    time, over all folds but the first.
    """

    number: int
    spec: graphs.FeatureSpec
    classifier: ClassifierConfig
    roc_auc: float
    lower: float | None
    upper: float | None
    roc_auc_by_fold: tuple[float | None, ...]
    slip_rate: float | None
    review_reduction: float | None
    n: int


def search(
    examples: Examples, config: Config, *, study_name: str, storage: Path, threads: int
) -> list[Trial]:
    """Run what is missing of ``tune.trials`` trials and return all of the study, best first.

    Parameters
    ----------
    study_name : the same examples, folds and seed have the same name; under it trials are kept.
    storage : SQLite file; made where it isn't there.
    """
    import optuna

    storage.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=study_name, storage=f"sqlite:///{storage}", load_if_exists=True,
        direction="maximize",
    )  # fmt: skip
    done = len(_finished(study))
    # A sampler's state isn't stored: with the same seed, a resumed search would repeat itself.
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + done)

    def objective(trial: optuna.Trial) -> float:
        table, spec = _suggest_features(trial, examples.tables)
        classifier = _suggest_classifier(trial, config.classifier)
        found = evaluate(
            examples, table.columns(spec), spec, classifier, config,
            number=trial.number, threads=threads,
        )  # fmt: skip
        trial.set_user_attr("trial", _packed(found))
        return found.roc_auc

    if done == 0:
        _enqueue_configured(study, config)
    while (missing := config.tune.trials - len(_finished(study))) > 0:
        study.optimize(objective, n_trials=missing)
    trials = [_unpacked(trial.user_attrs["trial"]) for trial in _finished(study)]
    return sorted(trials, key=lambda trial: -trial.roc_auc)


def evaluate(
    examples: Examples,
    features: NDArray[np.float32],
    spec: graphs.FeatureSpec,
    classifier: ClassifierConfig,
    config: Config,
    *,
    number: int = 0,
    threads: int = 1,
) -> Trial:
    """Judge one setting on all folds."""
    import lightgbm

    parameters = _parameters(classifier, seed=config.seed, threads=threads)
    test = np.concatenate([rows for _, rows in examples.folds])
    fold = np.repeat(np.arange(len(examples.folds)) + 1, [len(r) for _, r in examples.folds])
    scores = []
    for train_rows, test_rows in examples.folds:
        train = lightgbm.Dataset(
            features[train_rows], examples.is_fail[train_rows], params=parameters
        )
        booster = lightgbm.train(parameters, train)
        scores.append(booster.predict(features[test_rows], num_threads=threads))
    return _judged(number, spec, classifier, examples, test, np.concatenate(scores), fold, config)


def milliseconds(graph: onnx.ModelProto, *, difference: bool) -> float:
    """Time one image through a features graph, in ms on one core of this machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    noise = np.random.default_rng(0).integers(
        0, 256, (_TIMED_IMAGES, 1, SIDE, SIDE), dtype=np.uint8
    )
    pixels = [np.repeat(grey, 3, axis=0) for grey in noise]
    own = list(range(_TIMED_IMAGES)) if difference else []
    feed = batches.feed(pixels, pixels if difference else None, own)
    took = []
    for _ in range(4):
        began = time.perf_counter()
        session.run(None, feed)
        took.append(time.perf_counter() - began)
    return min(took) * 1000 / _TIMED_IMAGES


def _judged(
    number: int,
    spec: graphs.FeatureSpec,
    classifier: ClassifierConfig,
    examples: Examples,
    test: Rows,
    scores: NDArray[np.float64],
    fold: NDArray[np.intp],
    config: Config,
) -> Trial:
    is_fail, boards = examples.is_fail[test], examples.board_id[test].tolist()
    wanted = config.policy
    steps = thresholds.evaluate_forward(
        is_fail, scores, fold, max_slip_rate=wanted.max_slip_rate, confidence=wanted.confidence
    )
    forward = policy.total([step.outcome for step in steps]).rates()
    found = metrics.evaluate_scores(
        is_fail, scores, board_id=boards, fold=fold, segments={}, defects=[None] * len(test),
        threshold=0.0, seed=config.seed, resamples=wanted.bootstrap_resamples,
        confidence=wanted.confidence,
    )  # fmt: skip
    auc = {row.scope: row for row in found if row.metric == "roc_auc"}
    mean = auc["folds_mean"]
    return Trial(
        number=number,
        spec=spec,
        classifier=classifier,
        roc_auc=mean.value if mean.value is not None else 0.0,
        lower=mean.lower,
        upper=mean.upper,
        roc_auc_by_fold=tuple(auc[f"fold={k + 1}"].value for k in range(len(examples.folds))),
        slip_rate=forward["slip_rate"].value,
        review_reduction=forward["review_reduction"].value,
        n=mean.n,
    )


def _parameters(classifier: ClassifierConfig, *, seed: int, threads: int) -> dict[str, Any]:
    return {
        **classifier.model_dump(exclude={"num_tasks"}),
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }


def _suggest_features(
    trial: optuna.Trial, tables: Sequence[FeatureTable]
) -> tuple[FeatureTable, graphs.FeatureSpec]:
    """Draw a reference mode, one or more of its levels, and one or both poolings."""
    import optuna

    modes = {("difference" if each.spec.difference else "none"): each for each in tables}
    table = modes[trial.suggest_categorical("reference", sorted(modes))]
    levels = tuple(
        level for level in table.spec.levels if trial.suggest_categorical(level, [True, False])
    )
    pooling = {"max": ("max",), "mean": ("mean",), "both": ("mean", "max")}
    if not levels:
        what = "no level drawn"
        raise optuna.TrialPruned(what)
    chosen = pooling[trial.suggest_categorical("pooling", sorted(pooling))]
    return table, replace(table.spec, levels=levels, pooling=chosen)


def _suggest_classifier(trial: optuna.Trial, base: ClassifierConfig) -> ClassifierConfig:
    drawn = {
        "num_iterations": trial.suggest_int("num_iterations", 100, 800, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 80, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.02, 0.5, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 100, log=True),
        "is_unbalance": trial.suggest_categorical("is_unbalance", [False, True]),
    }
    return ClassifierConfig.model_validate({**base.model_dump(), **drawn})


def _enqueue_configured(study: optuna.Study, config: Config) -> None:
    """Let the configured classifier be the first trial's, so that the search has to beat it."""
    drawn = config.classifier.model_dump(exclude={"num_tasks"})
    drawn["lambda_l2"] = max(drawn["lambda_l2"], 0.01)
    study.enqueue_trial(drawn)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    import optuna

    complete = (optuna.trial.TrialState.COMPLETE,)
    return list(study.get_trials(deepcopy=False, states=complete))


def _packed(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "classifier": trial.classifier.model_dump()}


def _unpacked(packed: Mapping[str, Any]) -> Trial:
    spec = packed["spec"]
    return Trial(
        **{
            **packed,
            "spec": graphs.FeatureSpec(
                **{**spec, "levels": tuple(spec["levels"]), "pooling": tuple(spec["pooling"])}
            ),
            "classifier": ClassifierConfig.model_validate(packed["classifier"]),
            "roc_auc_by_fold": tuple(packed["roc_auc_by_fold"]),
        }
    )
