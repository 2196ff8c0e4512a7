from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from pcb_spark.core.errors import BundleError
from pcb_spark.core.shapley import Trees
from tests import models

WIDTH = 12


def rows(n: int, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).random((n, WIDTH)).astype(np.float32)


def model(seed: int) -> str:
    found = rows(600, seed)
    return models.train(found, found[:, 0] * found[:, 1] + found[:, 2] > 0.75)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_feature_gets_what_lightgbm_gives_it(seed: int) -> None:
    text, seen = model(seed), rows(20, seed + 10)
    told = lightgbm.Booster(model_str=text).predict(seen, pred_contrib=True)
    expected = np.asarray(told)[:, :-1]
    found = np.stack([Trees(text).contributions(row) for row in seen])
    assert found == pytest.approx(expected, abs=1e-9)
    assert np.abs(expected).max() > 0.5


def test_a_value_at_a_threshold_goes_to_the_left() -> None:
    """One split at 2: 30 images below it, at -1, and 10 above it, at 3; the mean is 0."""
    text = """tree
max_feature_idx=1

Tree=0
num_leaves=2
split_feature=1
threshold=2
decision_type=2
left_child=-1
right_child=-2
leaf_value=-1 3
leaf_count=30 10
internal_count=40


end of trees
"""
    trees = Trees(text)
    assert trees.contributions(np.array([9, 2], dtype=np.float32)).tolist() == [0, -1]
    assert trees.contributions(np.array([9, 2.5], dtype=np.float32)).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("old", "new"),
    [("tree\n", ""), ("end of trees", ""), ("decision_type=", "decision_type=1 "),
     ("split_feature=", "split_feature=x")],
)  # fmt: skip
def test_another_text_is_refused(old: str, new: str) -> None:
    text = model(1)
    changed = text.replace(old, new, 1) if new else text[: text.index(old)]
    with pytest.raises(BundleError, match=r"classifier\.txt can't be read"):
        Trees(changed)
