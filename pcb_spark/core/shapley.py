"""How much each feature moved the log-odds of ``fail``, by LightGBM's own text of its trees.

TreeSHAP: Lundberg, Erion and Lee, "Consistent individualized feature attribution for tree
ensembles", 2018, algorithm 2; over paths from root to leaf, all of one length at a time, as
Mitchell, Frank and Holmes do it, "GPUTreeShap", 2022. LightGBM's ``pred_contrib`` gives the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pcb_spark.core.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_CATEGORICAL = 1  # of a decision_type


class _Step(NamedTuple):
    """What a path asks of one feature: low < value <= high; ``share`` of its images go that way."""

    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class _Paths:
    """P paths that ask for N features each: arrays (P, N), and (P,) of leaves' log-odds."""

    features: NDArray[np.intp]
    low: Numbers
    high: Numbers
    share: Numbers
    leaf: Numbers


class Trees:
    """The trees of a model.

    Parameters
    ----------
    text : the file ``classifier.txt`` of a bundle.

    Attributes
    ----------
    width : how many features F they are of.

    Raises
    ------
    BundleError : the text is no such model.
    """

    def __init__(self, text: str) -> None:
        try:
            self.width = int(_field(text, "max_feature_idx")) + 1
            starts = [*_starts(text), text.index("\nend of trees")]
            self._paths = _grouped(text[a:b] for a, b in pairwise(starts))
        except (ValueError, KeyError, IndexError) as error:
            what, hint = "the trees of classifier.txt can't be read", "export the bundle again"
            raise BundleError(what, got=f"{type(error).__name__}: {error}", hint=hint) from None

    def contributions(self, features: NDArray[np.float32]) -> Numbers:
        """What each feature adds to the log-odds of the average image.

        Parameters
        ----------
        features : float32 (F,), of one image.

        Returns
        -------
        float64 (F,).
        """
        row = features.astype(np.float64)
        found = np.zeros(self.width)
        for paths in self._paths:
            added = _of_paths(paths, row)
            found += np.bincount(paths.features.ravel(), added.ravel(), self.width)
        return found


def _starts(text: str) -> Iterator[int]:
    place = text.find("\nTree=")
    while place >= 0:
        yield place
        place = text.find("\nTree=", place + 1)


def _field(text: str, name: str) -> str:
    start = text.index(f"\n{name}=") + len(name) + 2
    return text[start : text.index("\n", start)]


def _grouped(trees: Iterator[str]) -> list[_Paths]:
    """The paths of all trees, by how many features they ask for."""
    found: dict[int, list[tuple[Mapping[int, _Step], float]]] = defaultdict(list)
    for tree in trees:
        if _field(tree, "num_leaves") != "1":
            for path, leaf in _leaves(tree):
                found[len(path)].append((path, leaf))
    return [_stacked(paths) for paths in found.values()]


def _stacked(paths: list[tuple[Mapping[int, _Step], float]]) -> _Paths:
    steps = np.array([list(path.values()) for path, _ in paths])
    low, high, share = np.moveaxis(steps, 2, 0)
    features = np.array([list(path) for path, _ in paths])
    return _Paths(features, low, high, share, np.array([leaf for _, leaf in paths]))


def _leaves(tree: str) -> Iterator[tuple[Mapping[int, _Step], float]]:
    """What each leaf asks for, and its log-odds; a node below zero is a leaf, -1 the first."""

    def numbers(name: str) -> list[float]:
        return [float(each) for each in _field(tree, name).split()]

    features, kinds, left, right = (
        [int(each) for each in numbers(name)]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    if any(kind & _CATEGORICAL for kind in kinds):
        message = "a split by categories"
        raise ValueError(message)
    thresholds, counts = numbers("threshold"), numbers("internal_count")
    leaves, counts_of_leaves = numbers("leaf_value"), numbers("leaf_count")
    open_nodes: list[tuple[int, dict[int, _Step]]] = [(0, {})]
    while open_nodes:
        node, path = open_nodes.pop()
        if node < 0:
            yield path, leaves[~node]
            continue
        feature, threshold = features[node], thresholds[node]
        known = path.get(feature, _Step(-np.inf, np.inf, 1.0))
        for child, low, high in (
            (left[node], known.low, min(known.high, threshold)),
            (right[node], max(known.low, threshold), known.high),
        ):
            count = counts_of_leaves[~child] if child < 0 else counts[child]
            step = _Step(low, high, known.share * count / counts[node])
            open_nodes.append((child, {**path, feature: step}))


def _of_paths(paths: _Paths, row: Numbers) -> Numbers:
    """What each step of each path adds, (P, N)."""
    values = row[paths.features]
    taken = (paths.low < values) & (values <= paths.high)
    weights = _weights(paths, taken)
    length = paths.share.shape[1]
    total = np.zeros_like(paths.share)
    following = np.repeat(weights[:, -1:], length, axis=1)
    for place in range(length - 1, -1, -1):
        own = weights[:, place, np.newaxis]
        without = paths.share * ((length - place) / (length + 1))
        unwound = following * ((length + 1) / (place + 1))
        total += np.where(taken, unwound, own / without)
        following = np.where(taken, own - unwound * without, following)
    added: Numbers = total * (taken - paths.share) * paths.leaf[:, np.newaxis]
    return added


def _weights(paths: _Paths, taken: NDArray[np.bool_]) -> Numbers:
    """How much subsets of each size weigh, (P, N + 1): the algorithm's ``extend``."""
    count, length = paths.share.shape
    weights = np.zeros((count, length + 1))
    weights[:, 0] = 1
    for step in range(1, length + 1):
        sizes = np.arange(step)
        before = weights[:, :step] / (step + 1)
        weights[:, :step] = before * (step - sizes) * paths.share[:, step - 1, np.newaxis]
        weights[:, 1 : step + 1] += before * (sizes + 1) * taken[:, step - 1, np.newaxis]
    return weights
