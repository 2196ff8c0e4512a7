"""Model search on the driver: which features and which trees rank best, forward in time.

Features are computed once, for every level and pooling; a trial takes its columns and trains
LightGBM's own Python package on them, which is the same algorithm without Spark around it. Optuna
(Akiba et al., KDD 2019) proposes the trials.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcb_spark.core import batches
from pcb_spark.core.images import SIDE
from pcb_spark.lake.scopes import FOLD, FOLDS_MEAN, Scope
from pcb_spark.learning import forward, lightgbm_on_driver, metrics, search_space
from pcb_spark.learning.rates import decision_rates
from pcb_spark.learning.settings import TreeSettings, resampling
from pcb_spark.network import graphs

if TYPE_CHECKING:
    import onnx
    import optuna
    from numpy.typing import NDArray

    from pcb_spark.learning.judged import Judged
    from pcb_spark.learning.settings import LearningConfig

    Rows = NDArray[np.intp]

log = logging.getLogger(__name__)

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
    images : n of them, which no classifier has scored yet.
    folds : row numbers to train and to test on, in the order of time.
    tables : one for each reference mode.
    """

    images: Judged
    folds: Sequence[tuple[Rows, Rows]]
    tables: Sequence[FeatureTable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A setting and what it came to; ``roc_auc`` is the mean over folds, in bounds by board.

    ``slip_rate``, ``false_call_reduction`` and ``review_reduction`` are what the decision rule
    would have done forward in time, over all folds but the first, by the promise of ``policy``;
    ``worst_slip_rate`` is the largest slip rate of one of them.
    """

    number: int
    spec: graphs.FeatureSpec
    classifier: TreeSettings
    roc_auc: float
    lower: float | None
    upper: float | None
    roc_auc_by_fold: tuple[float | None, ...]
    slip_rate: float | None
    worst_slip_rate: float | None
    false_call_reduction: float | None
    review_reduction: float | None
    n: int


def search(
    examples: Examples,
    config: LearningConfig,
    *,
    study_name: str,
    storage: Path,
    threads: int,
    configured: Sequence[graphs.FeatureSpec] = (),
) -> list[Trial]:
    """Run what is missing of ``tune.trials`` trials and return all of the study, best first.

    Parameters
    ----------
    configured : features that go first, each with the configured classifier, so that the search
        has to beat them.
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
        spec = search_space.suggest_features(trial, [table.spec for table in examples.tables])
        table = next(e for e in examples.tables if e.spec.difference == spec.difference)
        base = _base(config, spec)
        classifier = search_space.suggest_classifier(trial, base)
        found = evaluate(
            examples, table.columns(spec), spec, classifier, config,
            number=trial.number, threads=threads,
        )  # fmt: skip
        trial.set_user_attr("trial", _packed(found))
        log.info(
            "trial %d: AUC %.4f, %s %s, %d numbers", trial.number, found.roc_auc,
            "+".join(spec.levels), "+".join(spec.pooling), classifier.keep_features or spec.width,
        )  # fmt: skip
        return found.roc_auc

    if done == 0:
        for spec in configured:
            study.enqueue_trial(search_space.drawn(spec, _base(config, spec)))
    while (missing := config.tune.trials - len(_finished(study))) > 0:
        study.optimize(objective, n_trials=missing)
    trials = [_unpacked(trial.user_attrs["trial"]) for trial in _finished(study)]
    return sorted(trials, key=lambda trial: -trial.roc_auc)


def _base(config: LearningConfig, spec: graphs.FeatureSpec) -> TreeSettings:
    """The configured classifier of a specification of features."""
    return config.classifier.for_reference_mode(
        difference=spec.difference, image_width=spec.image_width
    )


def evaluate(
    examples: Examples,
    features: NDArray[np.float32],
    spec: graphs.FeatureSpec,
    classifier: TreeSettings,
    config: LearningConfig,
    *,
    number: int = 0,
    threads: int = 1,
) -> Trial:
    """Judge one setting on all folds."""
    test = np.concatenate([rows for _, rows in examples.folds])
    fold = np.repeat(np.arange(len(examples.folds)) + 1, [len(r) for _, r in examples.folds])
    scores = lightgbm_on_driver.predict_forward(
        features,
        examples.images.is_fail,
        examples.folds,
        classifier,
        weight=examples.images.weight,
        seed=config.seed,
        threads=threads,
    )
    judged = examples.images[test].scored(np.concatenate(scores), fold)
    return _trial(number, spec, classifier, judged, config)


def milliseconds(graph: onnx.ModelProto, *, difference: bool) -> float:
    """Time one image through a features graph: CPU time of one thread, in ms.

    CPU time, because a search often has other work beside it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The environment of jobs makes ONNX Runtime take threads from the model and nowhere else.
    options.intra_op_num_threads = 1
    one_thread = graphs.with_threads(graph, 1)
    # It warns of every constant that the levels left out made superfluous.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        one_thread.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    noise = np.random.default_rng(0).integers(
        0, 256, (_TIMED_IMAGES, 1, SIDE, SIDE), dtype=np.uint8
    )
    pixels = [np.repeat(grey, 3, axis=0) for grey in noise]
    own = list(range(_TIMED_IMAGES)) if difference else []
    feed = batches.feed(pixels, pixels if difference else None, own)
    took = []
    for _ in range(4):
        began = time.thread_time()
        session.run(None, feed)
        took.append(time.thread_time() - began)
    return min(took) * 1000 / _TIMED_IMAGES


def _trial(
    number: int,
    spec: graphs.FeatureSpec,
    classifier: TreeSettings,
    judged: Judged,
    config: LearningConfig,
) -> Trial:
    promise = config.policy.promise
    steps = forward.evaluate_forward(judged, promise)
    rates = decision_rates(forward.all_steps(judged, steps))
    slipped = [decision_rates(step.judged)["slip_rate"].value for step in steps]
    found = metrics.evaluate_folds(judged, promise, resampling(config))
    auc = {row.scope: row for row in found if row.metric == "roc_auc"}
    mean = auc[FOLDS_MEAN]
    return Trial(
        number=number,
        spec=spec,
        classifier=classifier,
        roc_auc=mean.value if mean.value is not None else 0.0,
        lower=mean.lower,
        upper=mean.upper,
        roc_auc_by_fold=tuple(auc[Scope(FOLD, str(k))].value for k in np.unique(judged.fold)),
        slip_rate=rates["slip_rate"].value,
        worst_slip_rate=max((rate for rate in slipped if rate is not None), default=None),
        false_call_reduction=rates["false_call_reduction"].value,
        review_reduction=rates["review_reduction"].value,
        n=mean.n,
    )


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    import optuna

    complete = (optuna.trial.TrialState.COMPLETE,)
    return list(study.get_trials(deepcopy=False, states=complete))


def _packed(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "spec": trial.spec.record, "classifier": trial.classifier.model_dump()}


def _unpacked(packed: Mapping[str, Any]) -> Trial:
    return Trial(
        **{
            **packed,
            "spec": graphs.FeatureSpec.from_record(packed["spec"]),
            "classifier": TreeSettings.model_validate(packed["classifier"]),
            "roc_auc_by_fold": tuple(packed["roc_auc_by_fold"]),
        }
    )
