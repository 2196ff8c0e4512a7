"""The nodes of a classifier: features to the probability of a defect, behind any features graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import onnx

from pcb_spark.core.batches import FEATURES, PROBABILITY
from pcb_spark.core.linear import IMAGE_SHARE, Linear
from pcb_spark.network.linear_nodes import add_log_odds

if TYPE_CHECKING:
    from pcb_spark.network.nodes import NodeBuilder

_END: Final = 2**31 - 1


class ImageClassifier(NamedTuple):
    """Judges an image by itself, beside the difference: by the last ``width`` features.

    ``trees`` and ``linear`` are as in ``graphs.scoring_graph``.
    """

    trees: onnx.ModelProto
    linear: Linear | None
    width: int


def append(
    b: NodeBuilder, trees: onnx.ModelProto, linear: Linear | None, image: ImageClassifier | None
) -> None:
    """Add nodes from ``features`` [1, K, F] to ``probability`` [1, K]; see ``graphs``."""
    rows = b.add("Squeeze", [FEATURES, b.ints("axis_0_trees", 0)], "feature_rows")
    if image is None and linear is None:
        fail = _append_trees(b, trees, rows)
    else:
        compared = rows
        if image is not None:
            compared = _columns(b, rows, 0, -image.width, "compared_rows")
        mean = _append_log_odds(b, compared, trees, linear)
        if image is not None:
            own = _columns(b, rows, -image.width, _END, "image_rows")
            beside = _append_log_odds(b, own, image.trees, image.linear, prefix="image_")
            mean = _append_share(b, mean, beside)
        fail = b.add("Sigmoid", [mean], "mixed_probability")
    b.add("Transpose", [fail], PROBABILITY, perm=[1, 0])


def _columns(b: NodeBuilder, rows: str, start: int, stop: int, output: str) -> str:
    bounds = [b.ints(f"{output}_{name}", value)
              for name, value in (("start", start), ("stop", stop), ("axis", 1))]  # fmt: skip
    return b.add("Slice", [rows, *bounds], output)


def _append_share(b: NodeBuilder, mean: str, image: str) -> str:
    shares = {mean: 1 - IMAGE_SHARE, image: IMAGE_SHARE}
    terms = []
    for name, share in shares.items():
        constant = b.constant(f"{name}_share", np.array([share], dtype=np.float32))
        terms.append(b.add("Mul", [name, constant], f"{name}_counted"))
    return b.add("Add", terms, "log_odds_of_all")


def _append_log_odds(
    b: NodeBuilder, rows: str, trees: onnx.ModelProto, linear: Linear | None, *, prefix: str = ""
) -> str:
    """Add the mean log-odds [K, 1] of trees and line, of the trees alone where there is none."""
    fail = _append_trees(b, trees, rows, prefix=prefix)
    # Without this transform the second column is what it would be applied to: log-odds.
    transform = next(a for a in b.nodes[-2].attribute if a.name == "post_transform")
    transform.s = b"NONE"
    if linear is None:
        return fail
    beside = add_log_odds(b, rows, linear, prefix=prefix)
    both = b.add("Add", [fail, beside], f"{prefix}log_odds_of_both")
    half = b.constant(f"{prefix}one_half", np.array([0.5], dtype=np.float32))
    return b.add("Mul", [both, half], f"{prefix}mean_log_odds")


def _append_trees(b: NodeBuilder, trees: onnx.ModelProto, rows: str, *, prefix: str = "") -> str:
    """Add the trees, and the column [K, 1] of ``fail`` of their answer."""
    classifier = onnx.NodeProto()
    found = next(n for n in trees.graph.node if n.op_type == "TreeEnsembleClassifier")
    classifier.CopyFrom(found)
    classifier.name = f"{prefix}trees"
    classifier.input[0] = rows
    classifier.output[:] = [f"{prefix}tree_label", f"{prefix}tree_probabilities"]
    b.nodes.append(classifier)
    one = b.ints(f"{prefix}fail_column", 1)
    return b.add("Gather", [classifier.output[1], one], f"{prefix}fail_probability", axis=1)
