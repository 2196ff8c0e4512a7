from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from pcb_spark.core.pairs import Reading
from pcb_spark.learning import lightgbm_on_driver, tuning
from pcb_spark.learning.settings import ClassifierConfig, TreeSettings
from pcb_spark.network import graphs
from pcb_spark.pipeline import config
from tests.judged import judged
from tests.trunks import averaging_trunk

ALL = graphs.FeatureSpec(
    levels=("layer1", "layer2"), pooling=("mean", "max"), reading=Reading(difference=False)
)
#: The one column that tells defects: the fifth of layer2's maxima.
TELLING = 256 + 256 + 512 + 4
TREES = ClassifierConfig(
    num_iterations=20, min_data_in_leaf=5, num_leaves=4, feature_fraction=1.0, num_tasks=2
).for_reference_mode(difference=False)


def narrow(*levels: str, pooling: tuple[str, ...] = ("max",)) -> graphs.FeatureSpec:
    return graphs.FeatureSpec(levels=levels, pooling=pooling, reading=Reading(difference=False))


@pytest.fixture
def examples() -> tuning.Examples:
    """120 images on 30 boards, trained on 60 and 90, tested on the next 30."""
    rng = np.random.default_rng(3)
    values = rng.random((120, ALL.width), dtype=np.float32)
    is_fail = np.arange(120) % 3 == 0
    values[:, TELLING] += is_fail
    return tuning.Examples(
        images=judged(
            is_fail,
            np.full(120, np.nan),
            board_id=[f"b{row // 4}" for row in range(120)],
            line=["L1", "L2"] * 60,
        ),
        folds=[(np.arange(60), np.arange(60, 90)), (np.arange(90), np.arange(90, 120))],
        tables=[tuning.FeatureTable(spec=ALL, values=values)],
    )


def settings(*more: str, **tune: int) -> config.Config:
    overrides = [f"tune.{key}={value}" for key, value in tune.items()]
    policy = ["policy.bootstrap_resamples=20", "policy.max_slip_rate=0.3"]
    return config.load(None, ["seed=4", *policy, *overrides, *more])


def test_columns_are_taken_by_level_and_pooling() -> None:
    table = tuning.FeatureTable(spec=ALL, values=np.arange(ALL.width, dtype=np.float32)[np.newaxis])

    assert table.columns(narrow("layer2"))[0, [0, 4, -1]].tolist() == [1024, 1028, 1535]
    both = table.columns(narrow("layer1", "layer2", pooling=("max", "mean")))
    assert both[0, [0, 256, 512, 1024]].tolist() == [256, 0, 1024, 512]


def test_a_trial_is_judged_forward_in_time(examples: tuning.Examples) -> None:
    table = examples.tables[0]
    found = {}
    for level in ("layer1", "layer2"):
        spec = narrow(level)
        found[level] = tuning.evaluate(examples, table.columns(spec), spec, TREES, settings())

    assert found["layer2"].roc_auc == 1.0
    assert found["layer2"].roc_auc_by_fold == (1.0, 1.0)
    assert (found["layer2"].n, found["layer2"].spec.width) == (60, 512)
    # Ten defects in fold 1 are just enough at 0.3; fold 2 has 20 good images to clear.
    assert found["layer2"].slip_rate == 0.0
    assert found["layer2"].worst_slip_rate == 0.0
    assert found["layer2"].false_call_reduction == 1.0
    assert found["layer2"].review_reduction == pytest.approx(2 / 3)
    assert found["layer1"].roc_auc < 0.8


@pytest.fixture
def scored(examples: tuning.Examples, monkeypatch: pytest.MonkeyPatch) -> tuning.Examples:
    """Examples whose two test windows score by line alike: L2's defects below L1's good images."""
    is_fail, first = examples.images.is_fail, examples.images.labels["line"] == "L1"
    scores = np.where(is_fail, np.where(first, 0.9, 0.3), np.where(first, 0.5, 0.1))
    windows = [scores[test] for _, test in examples.folds]
    monkeypatch.setattr(lightgbm_on_driver, "predict_forward", lambda *_, **__: windows)
    return examples


@pytest.mark.parametrize(
    ("policy", "cleared"),
    [
        # Five defects of either line are enough at 0.5, and of all ten L2's are the lowest.
        (("policy.segments=none",), 0.5),
        (("policy.segments=line",), 1.0),
        # One lot doesn't tell how lots differ.
        (("policy.bound=lot",), 0.0),
    ],
)
def test_a_trial_keeps_the_promise_of_the_policy(
    scored: tuning.Examples, policy: tuple[str, ...], cleared: float
) -> None:
    one_lot = np.full(len(scored.images), "A", dtype=object)
    labels = {**scored.images.labels, "lot": one_lot}
    images = dataclasses.replace(scored.images, labels=labels)
    examples = dataclasses.replace(scored, images=images)
    wanted = settings("policy.max_slip_rate=0.5", *policy)

    found = tuning.evaluate(examples, examples.tables[0].values, ALL, TREES, wanted)

    assert found.false_call_reduction == cleared
    assert found.slip_rate == 0.0


def test_a_trial_that_keeps_few_features_chooses_them_in_each_training_window(
    examples: tuning.Examples,
) -> None:
    # In the first window layer1 tells defects, and nothing does in the images it is tested on.
    values = examples.tables[0].values.copy()
    values[:, TELLING] = 0
    values[:60, 7] += 2 * examples.images.is_fail[:60]
    kept = TREES.model_copy(update={"keep_features": 1, "linear": False})

    found = tuning.evaluate(examples, values, ALL, kept, settings())

    # One column that varies by chance alone: no better than a guess in fold 1.
    assert found.roc_auc_by_fold[0] == pytest.approx(0.5, abs=0.2)


def test_a_single_kept_feature_is_enough_where_one_tells(examples: tuning.Examples) -> None:
    kept = TREES.model_copy(update={"keep_features": 1, "linear": False})

    found = tuning.evaluate(examples, examples.tables[0].values, ALL, kept, settings())

    assert found.roc_auc == 1.0


def test_an_interrupted_search_goes_on_where_it_stopped(
    examples: tuning.Examples, tmp_path: Path
) -> None:
    storage = tmp_path / "new" / "tune.db"

    configured = narrow("layer2", pooling=("mean", "max"))

    def search(trials: int) -> list[tuning.Trial]:
        return tuning.search(
            examples, settings(trials=trials), study_name="a", storage=storage, threads=1,
            configured=[configured],
        )  # fmt: skip

    first = search(2)
    both = search(4)
    assert sorted(trial.number for trial in both) != sorted(trial.number for trial in first)
    assert len(both) == 4
    assert [trial for trial in both if trial.number in {t.number for t in first}] == first
    assert [t.roc_auc for t in both] == sorted((t.roc_auc for t in both), reverse=True)
    assert search(4) == both
    # What is configured goes first, so that the search has to beat it; of the parameters that
    # nobody set, those of single images.
    start = min(both, key=lambda trial: trial.number)
    assert start.spec == configured
    assert start.classifier == TreeSettings(
        lambda_l2=0.01,
        num_iterations=300,
        learning_rate=0.05,
        num_leaves=15,
        min_sum_hessian_in_leaf=3.0,
    )


def test_the_same_seed_proposes_the_same_trials(examples: tuning.Examples, tmp_path: Path) -> None:
    found = [
        tuning.search(
            examples, settings(trials=3), study_name="a", storage=tmp_path / name, threads=1
        )
        for name in ("one.db", "two.db")
    ]
    assert found[0] == found[1]


def test_the_reference_mode_is_searched_too(examples: tuning.Examples, tmp_path: Path) -> None:
    spec = dataclasses.replace(ALL, levels=("layer1",), reading=Reading(difference=True))
    values = np.zeros((120, spec.width), dtype=np.float32)
    both = [*examples.tables, tuning.FeatureTable(spec=spec, values=values)]
    wider = dataclasses.replace(examples, tables=both)

    found = tuning.search(
        wider, settings(trials=3), study_name="a", storage=tmp_path / "tune.db", threads=1,
        configured=[narrow("layer2"), spec],
    )  # fmt: skip

    assert {trial.spec.difference for trial in found} == {True, False}
    assert {trial.roc_auc for trial in found if trial.spec.difference} == {0.5}


def test_milliseconds_of_a_graph() -> None:
    spec = graphs.FeatureSpec(
        levels=("layer1",), pooling=("max",), reading=Reading(difference=True)
    )
    graph = graphs.features_graph(averaging_trunk("layer1"), spec)

    assert 0 < tuning.milliseconds(graph, difference=True) < 1000


def test_a_graph_is_timed_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where jobs run, ONNX Runtime takes threads from the model only, else one a core."""
    given: list[onnx.ModelProto] = []

    original = onnxruntime.InferenceSession

    def create(model: bytes, *arguments: Any, **options: Any) -> Any:
        given.append(onnx.load_from_string(model))
        return original(model, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    spec = graphs.FeatureSpec(
        levels=("layer1",), pooling=("max",), reading=Reading(difference=True)
    )

    tuning.milliseconds(graphs.features_graph(averaging_trunk("layer1"), spec), difference=True)

    (model,) = given
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["ort_config"])["session_options"]["intra_op_num_threads"] == 1
